"""`check`: every msgid and message code has its texts. `extract`: write missing msgids into the catalogue, empty."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from sandbox.domain.messages import MESSAGES
from sandbox.web.i18n import TRANSLATIONS

WEB = TRANSLATIONS.parent
PACKAGE = WEB.parent
PO = TRANSLATIONS / "en" / "LC_MESSAGES" / "messages.po"
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
PARAMETER = re.compile(r"\{(\w+)\}")
REFUSAL = re.compile(r"""Refusal\(\s*["']([a-z0-9_.]+)["']""")


def msgids() -> dict[str, list[str]]:
    """Return every msgid used in the web package, with the files that use it."""
    found: dict[str, list[str]] = {}
    for name, _line, message, *_ in extract_from_dir(WEB, METHODS, keywords={"_": None, "N_": None}):
        found.setdefault(str(message), []).append(name)
    return found


def catalogue() -> Catalog:
    """Read the English catalogue."""
    with PO.open("rb") as file:
        return read_po(file, locale="en")


def refusal_codes() -> dict[str, Path]:
    """Return the codes written literally in a `Refusal(…)` of the portal's parts."""
    parts = (PACKAGE / name for name in ("domain", "services", "store", "adapters", "web"))
    return {code: file for part in parts for file in sorted(part.rglob("*.py")) for code in REFUSAL.findall(file.read_text("utf-8"))}


def problems() -> Iterator[str]:
    """Say everything that is missing or does not fit, one line each."""
    english = {str(m.id): m for m in catalogue() if m.id}
    used = msgids()
    for msgid, files in sorted(used.items()):
        entry = english.get(msgid)
        if entry is None:
            yield f"{files[0]}: not in messages.po: {msgid}"
        elif not entry.string or entry.fuzzy:
            yield f"messages.po: no English text for: {msgid}"
        elif set(PARAMETER.findall(msgid)) != set(PARAMETER.findall(str(entry.string))):
            yield f"messages.po: parameters differ: {msgid}"
    yield from (f"messages.po: used nowhere: {msgid}" for msgid in english.keys() - used.keys())
    for code, message in MESSAGES.items():
        if not message.zh.strip() or not message.en.strip():
            yield f"messages: {code} lacks a text"
    for code, file in sorted(refusal_codes().items()):
        if code not in MESSAGES:
            yield f"{file.name}: code without a message: {code}"


def extract() -> int:
    """Add new msgids to the catalogue with an empty text, drop unused ones; return how many are still empty."""
    used, old = msgids(), {str(m.id): str(m.string) for m in catalogue() if m.id} if PO.exists() else {}
    fresh = Catalog(locale="en", project="Data Sandbox", copyright_holder="Data Sandbox", fuzzy=False)
    for msgid in sorted(used):
        fresh.add(msgid, old.get(msgid, ""))
    with PO.open("wb") as file:
        write_po(file, fresh, no_location=True, omit_header=False, width=140)
    return sum(not old.get(msgid) for msgid in used)


def main(argv: list[str]) -> int:
    """Run `check` or `extract`; 0 when nothing is missing."""
    if argv == ["extract"]:
        sys.stdout.write(f"{extract()} without an English text in {PO.name}\n")
        return 0
    if argv == ["check"]:
        lines = list(problems())
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        return 1 if lines else 0
    sys.stderr.write("usage: python -m sandbox.web.translations check|extract\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
