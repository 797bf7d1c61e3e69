# mypy: disable-error-code="override, no-untyped-call, type-arg, arg-type, unused-ignore, no-untyped-def, misc"
# (Jupyter's base classes are half typed and half async; their documented hooks are what is overridden here)
"""What JupyterLab does not say by itself: whose data this is, how long still, how much may still be shown; why access ended.

And over all of it a watermark with person, project and time. Courtesy: the guard enforces, the record traces.
A script of ours in the lab's page (`pages/sandbox.js`) asks `sandbox/status` and waits for the answer to change. A cut kills this
process some milliseconds after it was told, so the answer that waits leaves at once; should it be lost, the page says that the
sandbox is gone and where the reason is.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import ChoiceLoader, DictLoader, Environment, FunctionLoader
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from sandbox.guard.guard import Guard

WAIT_SECONDS = 20.0
MB = 1 << 20
NEARLY, FULL = 80, 100  # per cent
SHANGHAI = ZoneInfo("Asia/Shanghai")
# JupyterLab's own page with one more script; `favicon` is the one block it lets others fill.
PAGE = (
    '{% extends "jupyterlab.html" %}{% block favicon %}{{ super() }}'
    '<script defer src="{{ base_url | escape }}sandbox/script.js"></script>{% endblock %}'
)
WORDS = {
    "zh-CN": {
        "mounted": "挂载",
        "queried": "查询",
        "unavailable": "（暂不可用）",
        "days": "剩余 {n} 天",
        "last_day": "今天到期",
        "cut": "访问已切断，这个页面不能再使用",
        "lapsed": "已暂停：访问授权暂时中断",
        "lapsed_next": "系统正在自动重试，恢复后本提示会消失，不需要刷新。内核、变量和文件都在；暂停期间代码不会运行，文件不会保存。",
        "ended": "访问已结束",
        "meter": "显示额度",
        "hour": "本小时",
        "day": "今天",
        "amount": "{used} / {limit} MB（{percent}%）",
        "more": "申请更多",
        "more_about": "显示额度快用完时可以申请更多，由数据提供单位决定（在门户申请）",
        "nearly": "额度将尽",
        "empty": "额度用完",
        "extended": "已获准增加，至 {until}",
        "meter_about": "一小时和二十四小时内显示给您的字节数。已经显示过的内容几乎不再计数；用完后代码照常运行，没有显示的输出可用 ds.show_again() 补看。",
        "gone": "沙箱已停止，这个页面与它断开了",
        "gone_text": "可能是沙箱被关闭，或者使用权限已到期、中止或取消；原因写在门户的沙箱页面上。最近一次保存之后的修改没有保留。",
        "signed_out": "您已退出登录",
        "signed_out_text": "沙箱可能仍在运行。请在门户重新登录，再从项目页面打开 JupyterLab。",
        "kept": "此前的代码和结果仍可在本页查看，但不能再运行或保存。",
        "link": "在门户查看原因",
        "close": "关闭提示",
        "about": "本沙箱的数据与期限；在门户查看",
    },
    "en": {
        "mounted": "mounted",
        "queried": "queried",
        "unavailable": " (not available yet)",
        "days": "{n} days left",
        "last_day": "ends today",
        "cut": "Access was cut: this page can no longer be used",
        "lapsed": "Paused: access is interrupted for the moment",
        "lapsed_next": "It is tried again by itself and this message goes when it is back; no reload is needed. Kernel, variables and files are there; meanwhile no code runs and nothing is saved.",
        "ended": "Access ended",
        "meter": "Display budget",
        "hour": "this hour",
        "day": "today",
        "amount": "{used} / {limit} MB ({percent}%)",
        "more": "ask for more",
        "more_about": "When the display budget runs short you can ask for more; the data's owner decides (asked for in the portal)",
        "nearly": "nearly used up",
        "empty": "used up",
        "extended": "more granted until {until}",
        "meter_about": "Bytes shown to you within an hour and within 24 hours. What was shown before counts next to nothing. When it is used up code goes on running, and ds.show_again() shows later what was not shown.",
        "gone": "The sandbox has stopped and this page has lost it",
        "gone_text": "It was closed, or the right to use the data ended, was suspended or revoked: the sandbox's page in the portal says which. Changes since the last save are lost.",
        "signed_out": "You have logged out",
        "signed_out_text": "The sandbox may still be running. Log in to the portal again and open JupyterLab from the project's page.",
        "kept": "Your code and results so far can still be read here, but nothing can be run or saved.",
        "link": "See why in the portal",
        "close": "Close this message",
        "about": "Data and term of this sandbox; see the portal",
    },
}


@dataclass(frozen=True)
class Now:
    """What is so at this moment: why there is no lease (None while there is one), in words too, the time, and bytes shown of how many."""

    reason: str | None
    message: str
    time: datetime
    used: dict[str, tuple[int, int]] = field(default_factory=dict)
    extension_until: str | None = None


def meter(words: dict[str, str], now: Now) -> dict[str, Any]:
    """Return the budget as the page shows it: hour and day, in megabytes (2^20 bytes) and per cent, as words and as numbers."""
    parts = []
    for name, (used, limit) in now.used.items():
        if limit <= 0:
            continue
        percent = min(100, round(100 * used / limit))
        amount = words["amount"].format(used=f"{used / MB:.1f}", limit=f"{limit / MB:.0f}", percent=percent)
        tone = "empty" if percent >= FULL else "nearly" if percent >= NEARLY else ""
        said = f"{words[name]} {amount}" + (f" {words[tone]}" if tone else "")
        parts.append({"name": name, "percent": percent, "text": said, "tone": tone})
    until = now.extension_until
    more = words["extended"].format(until=datetime.fromisoformat(until).astimezone(SHANGHAI).strftime("%m-%d %H:%M")) if until else ""
    return {"parts": parts, "extended": more}


def status(facts: dict[str, Any], sandbox: str, now: Now) -> dict[str, Any]:
    """Return what the script shows. `facts` are the lease's."""
    person = facts.get("person") or {}
    words = WORDS["en" if str(person.get("lang", "")).startswith("en") else "zh-CN"]
    agreements = facts.get("agreements") or []
    data = [
        f"{one['dataset']} {words[one['access']]}{words['unavailable'] if one['state'] == 'queried_not_available' else ''}"
        for one in agreements
    ]
    ends = [datetime.fromisoformat(one["not_after"]) for one in agreements if one.get("not_after")]
    left = [max(0, (min(ends) - now.time).days)] if ends else []
    term = [words["days"].format(n=n) if n else words["last_day"] for n in left]
    project = facts.get("project") or {}
    title, site = str(project.get("title", "")), str(facts.get("url", "")).rstrip("/")
    budget = meter(words, now)
    state = now.reason or "live"
    seen = f"{state} {budget['extended']} {' '.join(part['text'] for part in budget['parts'])}"
    return {
        "state": state,
        "seen": hashlib.sha256(seen.encode()).hexdigest()[:16],
        "over": now.reason is not None and now.reason != "lease_ended",
        "meter": budget,
        "mark": [part for part in (f"{person.get('name', '')} {person.get('login', '')}".strip(), title) if part],
        "now": now.time.isoformat(timespec="seconds"),
        "line": " · ".join(part for part in (title, str(person.get("name", "")), *data, *term) if part),
        "message": now.message,
        "portal": f"{site}/sandboxes/{sandbox}" if site else "",
        "ask": f"{site}/projects/{project.get('id', '')}/display" if site else "",
        "words": words,
    }


def _status(guard: Guard) -> dict[str, Any]:
    reason = None if guard.lease.live else guard.lease.reason
    figures = guard.budget.figures
    until = figures.extension_until if figures else None
    now = Now(reason, guard.say(reason) if reason else "", datetime.now(UTC), guard.budget.used() if figures else {}, until)
    return status(guard.lease.facts, guard.settings.sandbox, now)


class Status(JupyterHandler):
    """`GET sandbox/status?seen=NAME`: the status, at once if it is another than NAME (its `seen`), else when it changes or after WAIT_SECONDS."""

    @web.authenticated
    @authorized("read", resource="api")
    async def get(self) -> None:
        """Answer the person of this sandbox, with or without a live lease."""
        guard, seen = Guard.current(), self.get_argument("seen", "")
        until = asyncio.get_running_loop().time() + WAIT_SECONDS
        while (now := _status(guard))["seen"] == seen and (left := until - asyncio.get_running_loop().time()) > 0:
            await guard.changed(left)
        self.set_header("Cache-Control", "no-store")
        self.finish(now)


class Script(JupyterHandler):
    """`GET sandbox/script.js`."""

    @web.authenticated
    async def get(self) -> None:
        """Answer the script; it holds nothing of anybody."""
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.finish((files("sandbox.guard") / "pages" / "sandbox.js").read_bytes())


def add_courtesy(web_app: web.Application, base_url: str) -> None:
    """Add both handlers and the script to JupyterLab's page; after pruning."""
    base = base_url.rstrip("/")
    web_app.add_handlers(".*$", [(rf"{base}/sandbox/status", Status), (rf"{base}/sandbox/script\.js", Script)])
    environment: Environment = web_app.settings["lab_jinja2_env"]
    stock = environment.loader
    if stock is None:
        raise RuntimeError("JupyterLab's page has no template")

    def jupyterlab(name: str) -> Any:
        return stock.get_source(environment, "index.html") if name == "jupyterlab.html" else None

    environment.loader = ChoiceLoader([DictLoader({"index.html": PAGE}), FunctionLoader(jupyterlab), stock])
