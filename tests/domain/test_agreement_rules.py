from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.domain.agreement_text import AgreementTerms, ItemTerms, digest, render
from sandbox.domain.agreements import Change, epoch_after, in_force, live_holds, why_not
from sandbox.domain.columns import ColumnClass, may_be_accessed, may_be_offered, treatment
from sandbox.domain.profiles import DEFAULT, PROFILES
from sandbox.domain.states import Access, AgreementState

NOW = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Terms:
    state: AgreementState = AgreementState.ACTIVE
    not_after: datetime | None = NOW + DAY


@dataclass(frozen=True)
class Hold:
    until: datetime | None = None
    lifted_at: datetime | None = None


@pytest.mark.parametrize(
    ("terms", "holds", "code"),
    [
        (Terms(), [], None),
        (Terms(not_after=NOW), [], "agreement_expired"),
        (Terms(not_after=NOW + timedelta(milliseconds=1)), [], None),
        (Terms(not_after=None), [], "agreement_not_active"),
        (Terms(), [Hold()], "agreement_held"),
        (Terms(), [Hold(lifted_at=NOW)], None),
        (Terms(), [Hold(lifted_at=NOW), Hold()], "agreement_held"),
        (Terms(), [Hold(until=NOW)], None),
        (Terms(), [Hold(until=NOW + DAY)], "agreement_held"),
        *[(Terms(state=s), [], "agreement_not_active") for s in AgreementState if s not in {"active", "expired"}],
        (Terms(state=AgreementState.EXPIRED), [], "agreement_expired"),
    ],
)
def test_an_agreement_is_in_force_while_active_not_over_and_not_held(terms, holds, code):
    assert why_not(terms, holds, NOW) == code
    assert in_force(terms, holds, NOW) is (code is None)


@given(st.lists(st.sampled_from(Change)))
def test_an_epoch_only_grows_and_exactly_with_each_tightening(changes):
    epoch = 1
    for change in changes:
        after = epoch_after(epoch, change)
        assert after - epoch == (change not in {Change.LIFT, Change.EXTEND})
        epoch = after


@given(st.lists(st.builds(Hold, until=st.none() | st.datetimes(timezones=st.just(UTC)))), st.timedeltas(timedelta(0), DAY))
def test_time_alone_never_adds_a_hold(holds, span):
    assert len(live_holds(holds, NOW + span)) <= len(live_holds(holds, NOW))


@pytest.mark.parametrize("column_class", [*ColumnClass, None])
def test_non_open_is_never_offered_and_data_about_persons_never_mounted(column_class):
    closed = column_class in {ColumnClass.NON_OPEN, None}
    assert may_be_offered(column_class) is not closed
    assert may_be_accessed(column_class, Access.QUERIED) is not closed
    assert may_be_accessed(column_class, Access.MOUNTED) is (column_class in {ColumnClass.OPEN, ColumnClass.CONDITIONAL})


def test_a_persons_key_becomes_a_pseudonym():
    assert {c: treatment(c) for c in ColumnClass} == {
        "open": "kept",
        "conditional": "kept",
        "personal": "kept",
        "identifier": "pseudonym",
        "non_open": "left_out",
    }


TERMS = AgreementTerms(
    id="0123456789bc",
    owner_zh="甲局",
    owner_en="Bureau A",
    user="乙",
    project="项目",
    purpose="用途",
    scenario="场景",
    security_measures="措施",
    period_days=30,
    items=[
        ItemTerms(
            name="flights",
            title_zh="航班",
            title_en="Flights",
            version=1,
            access=Access.QUERIED,
            min_cell=10,
            licence="CC0-1.0",
            columns=[("zper", ColumnClass.IDENTIFIER)],
            rows="全部 / all",
            requirements=["仅限研究"],
        )
    ],
)


@pytest.mark.parametrize("changed", [{"period_days": 31}, {"purpose": "别的"}, {"user": "丙"}, {"items": []}, {"id": "0123456789bd"}])
def test_any_change_of_the_terms_changes_the_digest(changed):
    profile = PROFILES[DEFAULT]
    assert digest(render(replace(TERMS, **changed), profile)) != digest(render(TERMS, profile))


def test_the_text_says_that_the_rules_have_ended_and_nobody_confirmed_their_continuation():
    profile = PROFILES[DEFAULT]
    assert profile.ended(date(2025, 10, 1))
    assert not profile.ended(date(2025, 9, 30))
    assert profile.successor is None
    assert not profile.continuation.confirmed
    assert profile.continuation.note_zh in render(TERMS, profile)
    assert "假名" in render(TERMS, profile)
