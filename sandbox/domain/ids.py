"""Identifiers that are safe in URLs, host names, file names and Docker names."""

import secrets

LETTERS = "bcdfghjklmnpqrstvwxz"
ALPHABET = "0123456789" + LETTERS


def new_id() -> str:
    """Return 12 random characters (about 58 bits), without vowels, so that no word arises by chance.

    The first is a letter: JupyterHub takes no server name, and a host name label no beginning, that could be a number.
    """
    return secrets.choice(LETTERS) + "".join(secrets.choice(ALPHABET) for _ in range(11))
