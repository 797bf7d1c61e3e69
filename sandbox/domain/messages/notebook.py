"""Texts of the guard, the door and the client in the notebook."""

from sandbox.domain.messages.message import Message

MESSAGES: dict[str, Message] = {}
