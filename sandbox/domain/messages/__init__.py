"""Every code a person can meet, in both languages: what happened, why, what to do next.

One module a theme, joined here. A text may use `str.format` parameters. `make check` fails on a code without a text.
"""

from typing import Any

from sandbox.domain.messages import checks, notebook, policy, portal, requests, warden, web
from sandbox.domain.messages.message import Message

MESSAGES: dict[str, Message] = {
    **portal.MESSAGES,
    **policy.MESSAGES,
    **requests.MESSAGES,
    **notebook.MESSAGES,
    **checks.MESSAGES,
    **warden.MESSAGES,
    **web.MESSAGES,
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
