"""What people type: trimmed, bounded, of the right form, or a Refusal that names the field."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from sandbox.domain.errors import Refusal

E = TypeVar("E", bound=StrEnum)

LOGIN = re.compile(r"[a-z][a-z0-9]{1,31}")
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
CODE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
EMAIL = re.compile(r"[^@\s<>\"]{1,64}@[^@\s<>\"]{1,189}")
# Labels of host names that belong to the platform (architecture, host names).
RESERVED_LOGINS = frozenset({"portal", "hub", "www", "api", "proxy", "log", "opa", "warden", "admin", "root", "localhost"})
LANGS = ("zh-CN", "en")
PASSWORD_MIN = 12
PASSWORD_MAX = 256


def optional(value: Any, field: str, *, longest: int = 4000) -> str:
    """Return text in NFC without surrounding blanks; None is empty. `field_invalid` for other types and control characters."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refusal("field_invalid", field=field)
    words = unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if any(unicodedata.category(sign) in {"Cc", "Cs"} and sign not in "\n\t" for sign in words):
        raise Refusal("field_invalid", field=field)
    if len(words) > longest:
        raise Refusal("field_too_long", field=field, longest=longest)
    return words


def required(value: Any, field: str, *, longest: int = 4000) -> str:
    """Return text that says something; `field_required` when it is empty."""
    words = optional(value, field, longest=longest)
    if not words:
        raise Refusal("field_required", field=field)
    return words


def matching(value: Any, field: str, form: re.Pattern[str]) -> str:
    """Return text of the given form; `field_required` or `field_invalid`."""
    words = required(value, field, longest=254)
    if not form.fullmatch(words):
        raise Refusal("field_invalid", field=field)
    return words


def one_of(value: Any, field: str, kind: type[E]) -> E:
    """Return a value of the enumeration; `choice_unknown` names those there are."""
    words = required(value, field, longest=100)
    try:
        return kind(words)
    except ValueError as error:
        raise Refusal("choice_unknown", field=field, choices=", ".join(kind)) from error


def whole(value: Any, field: str, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`; digits in text count as one. `field_required`, `number_out_of_range`."""
    if value is None or value == "":
        raise Refusal("field_required", field=field)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refusal("number_out_of_range", field=field, low=low, high=high)
    return value


def sequence(value: Any, field: str, *, longest: int = 500) -> Sequence[Any]:
    """Return a list; `field_invalid` for anything else and for very long ones."""
    if not isinstance(value, list | tuple) or len(value) > longest:
        raise Refusal("field_invalid", field=field)
    return value


def mapping(value: Any, field: str) -> Mapping[str, Any]:
    """Return an object; `field_invalid` for anything else."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise Refusal("field_invalid", field=field)
    return value


def login(value: Any) -> str:
    """Return a login: a host name label of letters and digits that is not the platform's own."""
    words = matching(value, "login", LOGIN)
    if words in RESERVED_LOGINS:
        raise Refusal("login_reserved", field="login", login=words)
    return words


def password(value: Any) -> str:
    """Return a password as it was typed; `password_weak` when it is too short, or too long to hash in fair time."""
    if not isinstance(value, str) or not value:
        raise Refusal("field_required", field="password")
    if not PASSWORD_MIN <= len(value) <= PASSWORD_MAX:
        raise Refusal("password_weak", field="password", shortest=PASSWORD_MIN, longest=PASSWORD_MAX)
    return value


def language(value: Any) -> str:
    """Return a language of the portal; nothing said is Chinese."""
    if value in {None, ""}:
        return LANGS[0]
    if value not in LANGS:
        raise Refusal("choice_unknown", field="lang", choices=", ".join(LANGS))
    return str(value)
