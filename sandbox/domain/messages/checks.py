"""Texts of import, preparation and output checks."""

from sandbox.domain.messages.message import Message

MESSAGES: dict[str, Message] = {}
