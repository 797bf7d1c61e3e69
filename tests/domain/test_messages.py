import re
from pathlib import Path
from string import Formatter

import pytest

import sandbox
from sandbox.domain.messages import MESSAGES, text

ROOT = Path(sandbox.__file__).parent
RAISED = re.compile(r"(?:Refusal\(\s*|unique_or\(\s*[\w.]+,\s*)\"([a-z_]+)\"")


def raised():
    return {code: path.name for path in ROOT.rglob("*.py") for code in RAISED.findall(path.read_text())}


def test_every_code_that_is_raised_has_a_text():
    assert {code: where for code, where in raised().items() if code not in MESSAGES} == {}


@pytest.mark.parametrize("code", MESSAGES)
def test_a_text_is_there_in_both_languages_and_english_needs_no_other_parameters(code):
    names = [{name for _, name, _, _ in Formatter().parse(words) if name} for words in MESSAGES[code]]
    assert names[1] <= names[0]
    assert all(words.strip() for words in MESSAGES[code])
    assert re.search("[一-鿿]", MESSAGES[code].zh)


def test_a_text_names_its_field_and_an_unknown_code_is_shown_as_it_is():
    assert "purpose" in text("field_required", "en", field="purpose")
    assert text("no_such_code") == "no_such_code"
