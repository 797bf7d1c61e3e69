package sandbox.export_test

import data.sandbox.export

good := {
	"now": "2026-11-23T06:05:00.000Z",
	"agreement": {"id": "a1", "state": "active", "not_after": "2026-12-31T16:00:00.000Z", "holds": 0, "epoch": 1, "body": "air"},
	"files": [{"type": "text/csv", "size": 900, "checks": [
		{"code": "small_cells", "verdict": "pass"},
		{"code": "linked_columns", "verdict": "review"},
	]}],
	"reviews": [
		{"person": "reviewer1", "verdict": "approve", "bodies": [{"body": "air", "kind": "government"}]},
		{"person": "reviewer2", "verdict": "approve", "bodies": [{"body": "sea", "kind": "government"}]},
	],
	"author": "researcher",
	"act": "release",
}

with_value(path, value) := json.patch(good, [{"op": "add", "path": path, "value": value}])

reasons(facts) := decision.reasons if {
	decision := export.decision with input as facts
	not decision.allow
}

test_checked_and_twice_approved_is_released if {
	decision := export.decision with input as good
	decision == {"allow": true, "reasons": [], "obligations": {"reviewers": 2}}
}

test_submitting_asks_for_two_reviewers if {
	submitted := object.union(good, {"act": "submit", "reviews": []})
	decision := export.decision with input as submitted
	decision == {"allow": true, "reasons": [], "obligations": {"reviewers": 2}}
}

test_a_denying_check_gives_its_own_code if {
	facts := with_value("/files/0/checks/-", {"code": "raw_rows", "verdict": "deny"})
	reasons(facts) == ["raw_rows"]
	reasons(object.union(facts, {"act": "submit"})) == ["raw_rows"]
}

test_each_fact_denies_with_its_own_code if {
	cases := {
		["/act", "download", "act_unknown"],
		["/author", "", "author_unknown"],
		["/lease", {"live": false}, "lease_ended"],
		["/lease", null, "lease_ended"],
		["/agreement/state", "revoked", "agreement_not_active"],
		["/agreement/not_after", "2026-11-23T06:05:00.000Z", "agreement_expired"],
		["/agreement/holds", 1, "agreement_held"],
		["/files", [], "files_missing"],
		["/files/0/checks", [], "checks_missing"],
		["/files/0/checks/0/verdict", "perhaps", "checks_missing"],
		["/files/0/checks/0/code", null, "checks_missing"],
		["/reviews/0/verdict", "reject", "review_rejected"],
		["/reviews/0/verdict", "later", "review_rejected"],
		["/reviews/-", {"person": "researcher", "verdict": "approve"}, "own_review"],
		["/reviews/0/person", "researcher", "own_review"],
		["/reviews", [], "reviews_missing"],
		["/reviews", null, "reviews_missing"],
		["/reviews/0/person", "reviewer2", "reviews_missing"],
		["/reviews/0/person", null, "reviews_missing"],
	}
	every case in cases {
		case[2] in reasons(with_value(case[0], case[1]))
	}
}

test_each_body_needs_a_reviewer_of_its_own_or_of_the_lent_pool if {
	reasons(with_value("/agreement/body", "rail")) == ["body_review_missing"]
	reasons(with_value("/agreement/body", null)) == ["body_review_missing"]
	reasons(with_value("/reviews/0/bodies", [])) == ["body_review_missing"]
	reasons(with_value("/reviews/0/bodies", [{"body": "rail", "kind": "government"}])) == ["body_review_missing"]
	lent := export.decision with input as with_value("/reviews/0/bodies", [{"body": "pool", "kind": "authority"}])
	lent.allow
	rail := json.patch(with_value("/agreement/body", "rail"), [{"op": "add", "path": "/reviews/1/bodies/-", "value": {"body": "rail", "kind": "government"}}])
	own := export.decision with input as rail
	own.allow
}

test_a_live_lease_passes if {
	decision := export.decision with input as with_value("/lease", {"live": true})
	decision.allow
}

test_nothing_known_denies if {
	reasons({}) == [
		"act_unknown", "agreement_expired", "agreement_held",
		"agreement_not_active", "author_unknown", "files_missing",
	]
}
