"""Whom a session's token speaks for, on the internal port."""

import time

from audit import tokens
from sandbox.domain.errors import Refusal
from sandbox.web.process import Process


def session_of(process: Process, authorization: str) -> tokens.Session:
    """Return the session that a bearer token speaks for; Refusal 401 otherwise."""
    try:
        return tokens.verify(authorization.removeprefix("Bearer "), process.key.public_key(), time.time())
    except tokens.TokenError as error:
        raise Refusal(error.code, status=401) from error
