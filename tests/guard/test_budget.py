"""The display budget by its rules: nothing is shown that is not covered, and no trick of a kernel gets more out of it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from sandbox.guard.budget import AHEAD, REPEAT_BYTES, Budget, Figures, Kept, Withheld
from sandbox.guard.rules import Book, Ledger, outgoing, payload
from tests.guard.test_rules import header, out

FIGURES = {"hour_bytes": 5 << 20, "day_bytes": 20 << 20, "hour_left": 1000, "day_left": 2000, "extension_until": None}

steps = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), st.integers(-10, 3000)),
        st.tuples(st.just("show"), st.integers(0, 2000), st.sampled_from(["", "a", "b", "c"])),
        st.tuples(st.just("know"), st.sampled_from(["a", "b", ""])),
        st.tuples(st.just("back"), st.integers(0, 500)),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_no_more_is_shown_than_was_reserved_and_not_returned(course):
    budget, returned, reserved = Budget(known=2, floor=0), 0, 0
    for step in course:
        match step:
            case "grant", size:
                budget.grant(size)
                reserved += max(0, size)
            case "show", size, digest:
                before, covered = budget.shown, budget.covers(size, digest)
                assert budget.charge(size, digest) is covered
                assert budget.shown - before in ({size, min(size, REPEAT_BYTES)} if covered else {0})
            case "know", digest:
                budget.know(digest)
            case "back", keep:
                returned += budget.give_back(keep)
        assert budget.covered >= 0
        assert budget.shown + returned <= reserved == budget.reserved


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["m-1", "m-2", "forged", ""]),
            st.sampled_from(["stream", "display_data", "inspect_reply", "error"]),
            st.binary(max_size=60),
        ),
        max_size=40,
    )
)
def test_w12_forged_parents_types_and_tabs_get_nothing_that_is_not_paid_for(sent):
    budget = Budget(floor=0)
    budget.grant(400)
    book = Book(10_000)
    for number in ("m-1", "m-2"):
        book.open(number, 10_000, header())
    tabs = [Ledger(book, budget), Ledger(Book(10_000), budget)]
    paid = 0
    seen: set[str] = set()
    for n, (parent, kind, content) in enumerate(sent):
        message = out(kind, parent=parent, content=content, payload=payload(kind, [b"{}", content]))
        if tabs[n % 2].judge(message)[0] == "pass":
            paid += min(message.size, REPEAT_BYTES) if message.payload in seen else message.size
            seen.add(message.payload)
    assert paid == budget.shown <= 400


def test_a_repeat_is_nearly_free_and_never_quite():
    budget = Budget(floor=0)
    budget.grant(1000 + REPEAT_BYTES)
    assert budget.charge(1000, "picture")
    assert budget.charge(1000, "picture")
    assert not budget.charge(1000, "picture")
    assert budget.shown == 1000 + REPEAT_BYTES


def test_the_same_result_of_the_next_run_is_a_repeat_and_another_text_is_none():
    def shown(content, kind="execute_result"):
        return outgoing("iopub", [b"", json.dumps({"msg_type": kind}).encode(), b"{}", b"{}", json.dumps(content).encode()]).payload

    first = {"data": {"text/plain": "42"}, "metadata": {}, "execution_count": 1}
    assert shown(first) == shown(first | {"execution_count": 17})
    assert shown(first) != shown(first | {"data": {"text/plain": "43"}})
    assert shown(first) != shown(first, "display_data")
    assert shown({"execution_state": "busy"}, "status") == ""


def test_digests_do_not_run_into_each_other():
    assert payload("stream", [b"{}", b"ab", b"c"]) != payload("stream", [b"{}", b"a", b"bc"])


def test_a_known_digest_is_forgotten_before_too_many_are_kept():
    budget = Budget(known=2, floor=0)
    for name in "abc":
        budget.know(name)
    assert [budget.cost(100, name) for name in "abc"] == [100, REPEAT_BYTES, REPEAT_BYTES]


def test_more_is_reserved_before_what_is_in_hand_is_used_up():
    budget = Budget(floor=0)
    assert budget.wanted() == AHEAD
    budget.grant(AHEAD)
    assert budget.wanted() == 0
    budget.charge(AHEAD // 2 + 1, "")
    assert budget.wanted() == AHEAD // 2 + 1
    assert budget.wanted(AHEAD * 3) == AHEAD * 3 - budget.covered


def test_the_code_says_which_budget_is_used_up():
    budget = Budget(floor=0)
    assert budget.why() == "display_unavailable"
    budget.figures = Figures.of(FIGURES | {"hour_left": 0})
    assert budget.why() == "display_hour"
    budget.figures = Figures.of(FIGURES | {"hour_left": 9, "day_left": 3})
    assert budget.why() == "display_day"
    assert budget.may_ask(3, "")
    assert not budget.may_ask(4, "")
    budget.reachable = False
    assert budget.why() == "display_unavailable"
    assert not budget.may_ask(3, "")


def test_figures_of_another_form_are_none():
    assert Figures.of({}) is None
    assert Figures.of(FIGURES | {"hour_left": True}) is None
    assert Figures.of(FIGURES | {"day_left": -1}) is None
    assert Figures.of(FIGURES | {"extension_until": "2026-11-24T00:00:00.000Z"}).extension_until == "2026-11-24T00:00:00.000Z"


def test_the_meter_does_not_count_what_is_only_in_hand():
    budget = Budget(floor=0)
    budget.figures = Figures(5000, 9000, 5000 - 800, 9000 - 1800)
    budget.grant(800)
    budget.charge(300, "")
    assert budget.used() == {"hour": (300, 5000), "day": (1300, 9000)}


def item(text="x", kernel="k", number=1, kind="stream"):
    return Withheld(kernel, "m-1", number, kind, (b"{}", json.dumps({"name": "stdout", "text": text}).encode()))


def test_kept_output_is_bounded_and_the_oldest_goes():
    kept = Kept(3 * item("x" * 100).size)
    for n in range(5):
        kept.keep(item("x" * 100, number=n), f"n{n}")
        kept.keep(item("y" * 100, number=n), f"n{n}")  # another tab's copy
    assert [one.number for _, one in kept.of("k")] == [2, 3, 4]
    assert [one.number for _, one in kept.of("k", 3)] == [3]
    kept.forget("k")
    assert kept.size == 0


def test_completions_and_giants_are_not_kept():
    kept = Kept(50)
    kept.keep(item(kind="inspect_reply"), "a")
    kept.keep(item("x" * 100), "b")
    assert kept.size == 0


@given(st.text(max_size=400), st.integers(-5, 300))
def test_text_is_cut_without_loss_and_what_comes_fits(text, room):
    whole = item(text)
    first, rest = whole.split(room)
    parts = [json.loads(one.parts[1])["text"] for one in (first, rest) if one is not None]
    assert "".join(parts) == text or "�" in "".join(parts) or any(0xD800 <= ord(letter) < 0xE000 for letter in text)
    if first is not None:
        assert first.size <= room


def test_a_picture_is_not_cut():
    assert item("x" * 100, kind="display_data").split(50) == (None, item("x" * 100, kind="display_data"))


def test_output_leaves_what_is_needed_to_save():
    budget = Budget(floor=100)
    budget.grant(150)
    assert not budget.charge(51, "")
    assert budget.charge(50, "")
    assert not budget.charge(24, "")
    assert [budget.charge(24, "", vital=True) for _ in range(5)] == [True, True, True, True, False]
