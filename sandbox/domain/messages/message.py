"""The pair of texts behind a code."""

from typing import NamedTuple


class Message(NamedTuple):
    """A text in the two languages of the portal."""

    zh: str
    en: str
