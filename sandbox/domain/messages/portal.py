"""Texts of the portal and its services."""

from sandbox.domain.messages.message import Message

MESSAGES: dict[str, Message] = {}
