"""Identifiers that are safe in URLs, host names, file names and Docker names."""

import secrets

ALPHABET = "0123456789bcdfghjklmnpqrstvwxz"


def new_id() -> str:
    """Return 12 random characters without vowels (about 58 bits), so that no word arises by chance."""
    return "".join(secrets.choice(ALPHABET) for _ in range(12))
