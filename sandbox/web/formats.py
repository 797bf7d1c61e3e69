"""How times, sizes, counts and terms are shown."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.web.i18n import translator

SHANGHAI = ZoneInfo("Asia/Shanghai")


def parsed(value: datetime | str) -> datetime:
    """Return `value` as an aware datetime; texts are RFC 3339."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def moment(value: datetime | str | None) -> str:
    """Show a time in Asia/Shanghai as 2026-11-23 14:05; nothing as a dash."""
    return parsed(value).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M") if value else "—"


def second(value: datetime | str | None) -> str:
    """Show a time to the second: the order within a minute matters to an auditor."""
    return parsed(value).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S") if value else "—"


def count(value: int | None) -> str:
    """Show a number with thin groups of three."""
    return f"{value:,}".replace(",", "\u202f") if value is not None else "—"


def size(value: int | None) -> str:
    """Show a number of bytes readably (binary multiples)."""
    if value is None:
        return "—"
    amount, unit = float(value), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f}\u202f{unit}" if unit == "B" else f"{amount:.1f}\u202f{unit}"


def whole_copies(sizes: Iterable[tuple[str, int | None]], day_bytes: int | None) -> list[dict[str, Any]]:
    """Return for each named size in how many days all of it could be shown at `day_bytes` a day, rounded up; unknown sizes are left out."""
    return [{"name": name, "bytes": size, "days": -(-size // day_bytes)} for name, size in sizes if size and day_bytes]


def left(until: datetime | str | None, now: datetime, lang: str) -> str:
    """Say how long is left until `until`."""
    _ = translator(lang)
    if until is None:
        return _("不限期")
    rest = parsed(until) - now
    if rest <= timedelta(0):
        return _("已到期")
    if rest.days >= 2:
        return _("还有 {n} 天", n=rest.days)
    hours = int(rest.total_seconds() // 3600)
    return _("还有 {n} 小时", n=hours) if hours else _("不到 1 小时")
