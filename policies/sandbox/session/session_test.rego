package sandbox.session_test

import data.sandbox.session

good := {
	"now": "2026-11-23T06:05:00.000Z",
	"person": {"login": "researcher", "active": true, "roles": [{"role": "researcher", "body": null}]},
	"project": {"id": "p1", "member": true, "state": "active"},
	"agreements": [{"id": "a1", "state": "active", "not_after": "2026-12-31T16:00:00.000Z", "holds": 0, "epoch": 1}],
	"server": {"requested": true, "owner": true},
	"live_sandboxes": 0,
}

reasons(path, value) := decision.reasons if {
	decision := session.decision with input as json.patch(good, [{"op": "replace", "path": path, "value": value}])
	not decision.allow
}

test_all_in_order_allows if {
	decision := session.decision with input as good
	decision == {"allow": true, "reasons": [], "obligations": {}}
}

test_each_fact_denies_with_its_own_code if {
	cases := {
		["/person/active", false, "person_inactive"],
		["/person/roles", [{"role": "steward", "body": "b"}], "role_missing"],
		["/project/member", false, "not_member"],
		["/project/state", "closed", "project_not_active"],
		["/agreements", [], "no_agreement"],
		["/agreements/0/state", "revoked", "agreement_not_active"],
		["/agreements/0/not_after", "2026-11-23T06:05:00.000Z", "agreement_expired"],
		["/agreements/0/not_after", "soon", "agreement_expired"],
		["/agreements/0/holds", 1, "agreement_held"],
		["/server/requested", false, "server_not_requested"],
		["/server/owner", false, "not_owner"],
		["/live_sandboxes", 3, "too_many_sandboxes"],
		["/live_sandboxes", null, "too_many_sandboxes"],
		["/live_sandboxes", -1, "too_many_sandboxes"],
	}
	every case in cases {
		reasons(case[0], case[1]) == [case[2]]
	}
}

test_one_agreement_out_of_force_denies_the_whole if {
	second := object.union(good.agreements[0], {"id": "a2", "state": "revoked"})
	reasons("/agreements", array.concat(good.agreements, [second])) == ["agreement_not_active"]
}

test_nothing_known_denies if {
	decision := session.decision with input as {}
	not decision.allow
	count(decision.reasons) == 8
}

test_a_term_in_words_that_sort_well_is_compared_as_time if {
	# 08:00 in Shanghai is 00:00 UTC: earlier than now, although the text sorts later
	reasons("/agreements/0/not_after", "2026-11-23T08:00:00+08:00") == ["agreement_expired"]
}
