"""The bundle is tested to the last line, formatted, strict, and names its revision."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from sandbox.domain.messages import MESSAGES
from sandbox.domain.permissions import Permission

pytestmark = pytest.mark.opa

BUNDLE = Path(__file__).parents[2] / "policies"
RULES = [path for path in sorted(BUNDLE.rglob("*.rego")) if not path.name.endswith("_test.rego")]


def opa_output(binary, *arguments: str) -> str:
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_line_of_policy_is_tested(opa_binary):
    opa_output(opa_binary, "test", str(BUNDLE))
    assert json.loads(opa_output(opa_binary, "test", "--coverage", str(BUNDLE)))["coverage"] == 100


def test_policy_is_formatted_and_strict(opa_binary):
    assert opa_output(opa_binary, "fmt", "--list", str(BUNDLE)) == ""
    assert opa_output(opa_binary, "check", "--strict", str(BUNDLE)) == ""


def test_the_revision_is_the_digest_of_what_is_loaded():
    digest = hashlib.sha256()
    for path in RULES:
        digest.update(f"{path.relative_to(BUNDLE)}\0".encode() + path.read_bytes())
    manifest = json.loads((BUNDLE / ".manifest").read_text())
    assert manifest["revision"] == digest.hexdigest()[:16], f'a rule changed: set "revision" to "{digest.hexdigest()[:16]}"'


def evaluate(binary, query: str):
    answer = json.loads(opa_output(binary, "eval", "--bundle", str(BUNDLE), "--ignore", "*_test.rego", "--format", "json", query))
    return answer["result"][0]["expressions"][0]["value"]


def test_the_portals_table_has_every_permission_and_no_other(opa_binary):
    acts = set(evaluate(opa_binary, "object.keys(data.sandbox.portal.needs)"))
    sides = {"agreement:sign as owner", "agreement:sign as user"}
    assert sides <= acts
    assert acts - sides == {str(act) for act in Permission} - {"agreement:sign"}


def test_every_reason_of_policy_has_its_texts():
    said = re.compile(r'reasons contains "(\w+)"|code\(.*\) := "(\w+)"|^\t"\w+": "(\w+)",$', re.MULTILINE)
    codes = {code for path in RULES if path.parts[-3] == "sandbox" for found in said.findall(path.read_text()) for code in found if code}
    assert len(codes) > 25
    assert sorted(codes - MESSAGES.keys()) == []
