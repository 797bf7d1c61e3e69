"""Every kind that the code records has words in both languages."""

import ast
import re
from pathlib import Path

import pytest

from sandbox.web.said import SAID, sentence

ROOT = Path(__file__).parents[2]
KIND = re.compile(r"[a-z_]+\.[a-z_]+")
RECORDS = {"record", "_record", "append", "_append", "closing", "close_later"}
COMPOSED = {f"{what}.{end}" for what in ("cell", "message") for end in ("sent", "denied", "closed")}  # channels.py


def recorded() -> set[str]:
    """Return the literal kinds given to what records."""
    found = set(COMPOSED) | {"source.started", "source.resumed"}
    for part in ("sandbox/services", "sandbox/guard", "sandbox/warden", "audit"):
        for file in (ROOT / part).rglob("*.py"):
            for call in (n for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.Call)):
                name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                if name in RECORDS:
                    texts = [n.value for arg in call.args[:3] for n in ast.walk(arg) if isinstance(n, ast.Constant)]
                    found |= {t for t in texts if isinstance(t, str) and KIND.fullmatch(t) and file.name != "verify.py"}
    return found


def test_the_search_finds_what_is_known_to_be_recorded():
    assert {"kernel.start", "query.denied", "agreement.revoked", "login.failed", "session.authorised"} <= recorded()


@pytest.mark.parametrize("kind", sorted(recorded()))
def test_every_recorded_kind_has_words_in_both_languages(kind):
    assert kind in SAID
    leaf = {"kind": kind, "data": {}}
    assert sentence(leaf, "zh-CN") == SAID[kind]
    assert sentence(leaf, "en") not in {SAID[kind], kind}
