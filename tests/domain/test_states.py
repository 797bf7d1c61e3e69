from enum import StrEnum

import pytest

from sandbox.domain import states
from sandbox.domain.errors import Refusal
from sandbox.domain.states import AGREEMENT_STEPS, SANDBOX_STEPS, AgreementState, SandboxState, step

TABLES = {name: table for name, table in vars(states).items() if name.endswith("_STEPS")}


@pytest.mark.parametrize("name", TABLES)
def test_every_state_is_in_its_table_and_can_be_reached(name):
    table = TABLES[name]
    kind = type(next(iter(table)))
    assert issubclass(kind, StrEnum)
    assert set(table) == set(kind)
    first = next(iter(kind))
    reached, waiting = {first}, [first]
    while waiting:
        for to in table[waiting.pop()] - reached:
            reached.add(to)
            waiting.append(to)
    assert reached == set(kind)


@pytest.mark.parametrize("over", [AgreementState.REVOKED, AgreementState.EXPIRED, AgreementState.ENDED])
def test_nothing_follows_the_end_of_an_agreement(over):
    assert AGREEMENT_STEPS[over] == frozenset()


def test_a_cut_sandbox_never_comes_back_and_every_other_can_be_cut():
    assert SANDBOX_STEPS[SandboxState.CUT] == frozenset()
    assert all(SandboxState.CUT in SANDBOX_STEPS[state] for state in SandboxState if state is not SandboxState.CUT)


def test_a_step_that_is_not_in_the_table_is_a_conflict_with_both_states():
    with pytest.raises(Refusal) as refusal:
        step(AGREEMENT_STEPS, AgreementState.REVOKED, AgreementState.ACTIVE)
    assert (refusal.value.code, refusal.value.status) == ("state_conflict", 409)
    assert refusal.value.params == {"state": "revoked", "wanted": "active"}
