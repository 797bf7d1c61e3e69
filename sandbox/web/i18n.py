"""Texts of the pages: the msgid is the Chinese text, the English one comes from `translations/en/LC_MESSAGES/messages.po`."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po

LANGS = ("zh-CN", "en")
TRANSLATIONS = Path(__file__).parent / "translations"


def N_(msgid: str) -> str:  # noqa: N802 - the name gettext's extractors know
    """Mark a text for translation where it is defined; it is translated where it is shown."""
    return msgid


@cache
def english() -> dict[str, str]:
    """Return the English text of every msgid that has one."""
    with (TRANSLATIONS / "en" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale="en") if m.id and m.string and not m.fuzzy}


def translator(lang: str) -> Callable[..., str]:
    """Return the function `_(msgid, **params)` of `lang`; a missing translation shows the Chinese text."""
    table = english() if lang == "en" else {}

    def _(msgid: str, **params: Any) -> str:
        text = table.get(msgid, msgid)
        return text.format(**params) if params else text

    return _


def choose(*wanted: str | None) -> str:
    """Return the first of `wanted` that names a language we have; Chinese otherwise."""
    for lang in wanted:
        if lang and lang.lower().startswith("en"):
            return "en"
        if lang and lang.lower().startswith("zh"):
            return "zh-CN"
    return "zh-CN"
