"""What a figure claims follows from what was measured."""

import json

import pytest

from bench.figures import Failure, Figure, median_ms, table


def figure(ours, peer, goal, **other):
    return Figure(**({"id": "B0", "what": "a cell", "unit": "ms", "n": 100, "how": "medians"} | other), ours=ours, peer=peer, goal=goal)


@pytest.mark.parametrize(
    ("ours", "peer", "goal", "ok"),
    [
        (5.0, 20.0, "<= 0.25x", True),
        (5.1, 20.0, "<= 0.25x", False),
        (95.0, 100.0, ">= 0.95x", True),
        (94.0, 100.0, ">= 0.95x", False),
        (250.0, None, "<= 250", True),
        (250.5, None, "<= 250", False),
    ],
)
def test_a_goal_is_met_exactly_up_to_its_bound(ours, peer, goal, ok):
    assert figure(ours, peer, goal).ok is ok


def test_a_goal_of_a_ratio_is_not_met_without_a_peer():
    assert figure(0.001, None, "<= 1x").ok is False


def test_a_goal_that_cannot_be_read_is_an_error_not_a_pass():
    with pytest.raises(ValueError, match="no goal"):
        assert figure(1, 1, "fast").ok


def test_the_json_carries_what_performance_md_names():
    told = json.loads(json.dumps(figure(5.0, 20.0, "<= 0.25x").as_json()))
    assert told == {
        "id": "B0", "what": "a cell", "ours": 5.0, "peer": 20.0, "unit": "ms", "ratio": 0.25, "goal": "<= 0.25x", "ok": True, "n": 100,
        "how": "medians",
    }  # fmt: skip


def test_a_failure_stands_in_the_list_with_its_code_and_is_not_ok():
    told = Failure("B1", "peer_docker", "no such image").as_json()
    assert (told["ok"], told["error"]["code"]) == (False, "peer_docker")


def test_the_table_shows_misses_and_failures_as_such():
    lines = table([figure(1, 2, "<= 1x"), figure(3, 2, "<= 1x", id="B9"), Failure("B1", "peer_docker", "gone")]).splitlines()
    marks = {line[0]: line for line in lines if line[0] in "✓✗!"}
    assert "B0" in marks["✓"]
    assert "1.50x" in marks["✗"]
    assert "peer_docker" in marks["!"]


def test_the_median_of_seconds_is_told_in_milliseconds():
    assert median_ms([0.003, 0.001, 0.002]) == pytest.approx(2.0)
