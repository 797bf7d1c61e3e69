# mypy: disable-error-code="override, no-untyped-call, type-arg, arg-type, unused-ignore, no-untyped-def, misc"
# (Jupyter's base classes are half typed and half async; their documented hooks are what is overridden here)
"""What JupyterLab does not say by itself: whose data this is, how long still, and, when access ends, why and what next.

A script of ours in the lab's page (`pages/sandbox.js`) asks `sandbox/status` and waits for the answer to change. A cut kills this
process some milliseconds after it was told, so the answer that waits leaves at once; should it be lost, the page says that the
sandbox is gone and where the reason is.
"""

import asyncio
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, DictLoader, Environment, FunctionLoader
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from sandbox.guard.guard import Guard

WAIT_SECONDS = 20.0
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
        "lapsed": "访问授权暂时中断",
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
        "lapsed": "Access is interrupted for the moment",
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


def status(facts: dict[str, Any], reason: str | None, message: str, sandbox: str, now: datetime) -> dict[str, Any]:
    """Return what the script shows. `facts` are the lease's, `reason` is the code why there is none (None while it is live)."""
    person = facts.get("person") or {}
    words = WORDS["en" if str(person.get("lang", "")).startswith("en") else "zh-CN"]
    agreements = facts.get("agreements") or []
    data = [
        f"{one['dataset']} {words[one['access']]}{words['unavailable'] if one['state'] == 'queried_not_available' else ''}"
        for one in agreements
    ]
    ends = [datetime.fromisoformat(one["not_after"]) for one in agreements if one.get("not_after")]
    left = [max(0, (min(ends) - now).days)] if ends else []
    term = [words["days"].format(n=n) if n else words["last_day"] for n in left]
    title = str((facts.get("project") or {}).get("title", ""))
    return {
        "state": reason or "live",
        "over": reason is not None and reason != "lease_ended",
        "line": " · ".join(part for part in (title, str(person.get("name", "")), *data, *term) if part),
        "message": message,
        "portal": f"{str(facts.get('url', '')).rstrip('/')}/sandboxes/{sandbox}" if facts.get("url") else "",
        "words": words,
    }


def _status(guard: Guard) -> dict[str, Any]:
    reason = None if guard.lease.live else guard.lease.reason
    return status(guard.lease.facts, reason, guard.say(reason) if reason else "", guard.settings.sandbox, datetime.now(UTC))


class Status(JupyterHandler):
    """`GET sandbox/status?seen=STATE`: the status, at once if it is another than STATE, else when it changes or after WAIT_SECONDS."""

    @web.authenticated
    @authorized("read", resource="api")
    async def get(self) -> None:
        """Answer the person of this sandbox, with or without a live lease."""
        guard, seen = Guard.current(), self.get_argument("seen", "")
        until = asyncio.get_running_loop().time() + WAIT_SECONDS
        while (now := _status(guard))["state"] == seen and (left := until - asyncio.get_running_loop().time()) > 0:
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
