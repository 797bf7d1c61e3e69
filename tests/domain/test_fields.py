import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sandbox.domain import fields
from sandbox.domain.errors import Refusal
from sandbox.domain.roles import check_body, check_together
from sandbox.domain.states import Role


def code(check, *args, **named):
    with pytest.raises(Refusal) as refusal:
        check(*args, **named)
    return refusal.value.code


@given(st.text())
def test_text_is_trimmed_normal_and_stays_as_it_is_the_second_time(words):
    try:
        once = fields.optional(words, "f")
    except Refusal:
        assume(False)  # the codes have their own tests
    assert fields.optional(once, "f") == once == once.strip()


@pytest.mark.parametrize("value", [None, "", "  \n", "　"])
def test_blank_is_missing(value):
    assert code(fields.required, value, "purpose") == "field_required"


@pytest.mark.parametrize("value", ["a\x00b", "a\x1b[31m", "\ud800", 5, ["a"]])
def test_control_signs_and_other_types_are_no_text(value):
    assert code(fields.required, value, "purpose") == "field_invalid"


def test_long_text_is_refused_with_its_limit():
    with pytest.raises(Refusal) as refusal:
        fields.required("x" * 11, "f", longest=10)
    assert refusal.value.params == {"field": "f", "longest": 10}


@pytest.mark.parametrize("value", ["a", "Abc", "1abc", "a-b", "a.b", "x" * 40, "ab\n", "аbc"])
def test_a_login_is_one_plain_host_label(value):
    if value.strip() != value:
        assert fields.login(value) == value.strip()
    else:
        assert code(fields.login, value) == "field_invalid"


@pytest.mark.parametrize("value", ["portal", "hub", "www", "api"])
def test_the_platforms_host_names_are_no_logins(value):
    assert code(fields.login, value) == "login_reserved"


@pytest.mark.parametrize(
    ("value", "refused"), [(True, True), ("7", False), (7, False), (0, True), ("1e3", True), (7.0, True), ("-1", True)]
)
def test_a_whole_number_is_one_within_its_bounds(value, refused):
    if refused:
        assert code(fields.whole, value, "n", 1, 10) == "number_out_of_range"
    else:
        assert fields.whole(value, "n", 1, 10) == 7


def test_a_choice_that_does_not_exist_names_those_that_do():
    with pytest.raises(Refusal) as refusal:
        fields.one_of("emperor", "role", Role)
    assert (refusal.value.code, "steward" in refusal.value.params["choices"]) == ("choice_unknown", True)


@pytest.mark.parametrize("alone", [Role.ADMINISTRATOR, Role.OFFICER, Role.AUDITOR])
@pytest.mark.parametrize("other", Role)
def test_administrator_officer_and_auditor_hold_nothing_beside(alone, other):
    if alone is other:
        check_together([alone], other)
        return
    assert code(check_together, [alone], other) == "roles_incompatible"
    assert code(check_together, [other], alone) == "roles_incompatible"


def test_a_bodys_role_needs_a_body_and_a_platforms_has_none():
    assert code(check_body, Role.STEWARD, None) == "field_required"
    assert code(check_body, Role.AUDITOR, "air") == "body_not_wanted"
    check_body(Role.REVIEWER, "air")
