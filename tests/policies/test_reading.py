"""What counts as a decision."""

import pytest

from sandbox.adapters.opa import AsyncFakePolicy, Decision, FakePolicy, read


@pytest.mark.parametrize(
    "answer",
    [
        {},
        None,
        [],
        "yes",
        {"result": None},
        {"result": True},
        {"result": {"allow": True}},
        {"result": {"allow": "true", "reasons": [], "obligations": {}}},
        {"result": {"allow": 1, "reasons": [], "obligations": {}}},
        {"result": {"allow": True, "reasons": ["role_missing"], "obligations": {}}},
        {"result": {"allow": False, "reasons": [], "obligations": {}}},
        {"result": {"allow": False, "reasons": [1], "obligations": {}}},
        {"result": {"allow": True, "reasons": [], "obligations": []}},
    ],
)
def test_anything_malformed_is_a_no(answer):
    assert read("sandbox.cell", answer) == Decision(allow=False, reasons=["policy_unavailable"])


def test_a_well_formed_answer_is_read_with_its_revision():
    answer = {
        "decision_id": "d1",
        "provenance": {"bundles": {"policies": {"revision": "r1"}}},
        "result": {"allow": True, "reasons": [], "obligations": {"reviewers": 2}},
    }
    assert read("sandbox.export", answer) == Decision(True, [], {"reviewers": 2}, "d1", "r1")


async def test_the_fakes_answer_and_remember():
    no = Decision(allow=False, reasons=["role_missing"])
    fake = FakePolicy({"sandbox.portal": lambda facts: no if facts["act"] == "audit:read" else Decision(allow=True)})
    assert fake.decide("sandbox.portal", {"act": "audit:read"}) is no
    assert fake.decide("sandbox.cell", {}).allow
    assert fake.asked == [("sandbox.portal", {"act": "audit:read"}), ("sandbox.cell", {})]
    assert await AsyncFakePolicy({"sandbox.cell": no}).decide("sandbox.cell", {}) is no
