"""Every code a person can meet, in both languages: what happened, why, what to do next.

One dictionary a theme, joined below. A text may use `str.format` parameters. `make check` fails on a code without a text.
"""

from typing import Any, NamedTuple


class Message(NamedTuple):
    """A text in the two languages of the portal."""

    zh: str
    en: str


MESSAGES: dict[str, Message] = {
    "policy_unavailable": Message(
        "策略服务没有应答，按规定一律不放行。请稍后重试；持续出现请联系管理员。",
        "The policy service gave no answer, so nothing is let through. Try again shortly; if it lasts, tell an administrator.",
    ),
    "log_unavailable": Message(
        "审计日志暂时无法写入，未记录的操作不予执行。您的内容没有丢失，请稍后重试。",
        "The audit log cannot be written, and nothing runs unrecorded. Nothing of yours is lost; try again shortly.",
    ),
}


def text(code: str, lang: str = "zh-CN", **params: Any) -> str:
    """Return the text of `code` in `lang` (anything not English is Chinese); an unknown code is shown as itself."""
    message = MESSAGES.get(code)
    if message is None:
        return code
    template = message.en if lang.lower().startswith("en") else message.zh
    try:
        return template.format(**params)
    except (KeyError, IndexError):
        return template
