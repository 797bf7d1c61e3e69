package sandbox.portal_test

import data.sandbox.portal

# The people of the demonstration, and one of another body.
people := {
	"administrator": [{"role": "administrator", "body": null, "body_kind": null}],
	"officer": [{"role": "officer", "body": null, "body_kind": null}],
	"auditor": [{"role": "auditor", "body": null, "body_kind": null}],
	"steward": [{"role": "steward", "body": "air", "body_kind": "government"}],
	"steward_elsewhere": [{"role": "steward", "body": "sea", "body_kind": "government"}],
	"reviewer": [{"role": "reviewer", "body": "air", "body_kind": "government"}],
	"reviewer_elsewhere": [{"role": "reviewer", "body": "sea", "body_kind": "government"}],
	"reviewer_lent": [{"role": "reviewer", "body": "authority", "body_kind": "authority"}],
	"author": [{"role": "researcher", "body": null, "body_kind": null}],
	"member": [{"role": "researcher", "body": null, "body_kind": null}],
	"colleague": [],
	"stranger": [{"role": "researcher", "body": null, "body_kind": null}],
	"nobody": [],
}

thing := {"kind": "thing", "body": "air", "author": "author", "members": ["author", "member", "colleague"], "subject": "someone", "placed_by": [{"role": "steward", "body": "air"}]}

ask(act, login, resource) := decision if {
	decision := portal.decision with input as {
		"act": act,
		"person": {"login": login, "active": true, "roles": people[login]},
		"resource": resource,
	}
}

allowed(act, resource) := {login | some login, _ in people; ask(act, login, resource).allow}

stewards_and_up := {"steward", "administrator", "officer"}

everyone := {login | some login, _ in people}

# act -> who may, on the thing above
table := {
	"body:create": {"administrator"},
	"person:create": {"administrator"},
	"person:deactivate": {"administrator", "officer"},
	"person:read": {"administrator", "officer", "auditor"},
	"role:request": {"administrator"},
	"role:end": {"administrator"},
	"role:confirm": {"officer"},
	"dataset:read": everyone,
	"dataset:register": {"steward"},
	"dataset:import": {"steward"},
	"dataset:classify": {"steward"},
	"dataset:publish": {"steward"},
	"project:create": {"author", "member", "stranger"},
	"project:read": {"author", "member", "colleague"},
	"project:add_member": {"author"},
	"application:write": {"author", "member"},
	"application:submit": {"author", "member"},
	"application:read": {"author", "member", "colleague", "steward", "auditor"},
	"application:assess": {"steward"},
	"agreement:read": ({"author", "member", "colleague", "auditor"} | stewards_and_up),
	"agreement:revoke": stewards_and_up,
	"agreement:hold": stewards_and_up,
	"hold:lift": {"steward", "officer"},
	"sandbox:read": ({"author", "member", "colleague", "auditor"} | stewards_and_up),
	"sandbox:open": {"author", "member"},
	"sandbox:close": {"author", "member"},
	"export:read": {"author", "member", "colleague", "reviewer", "reviewer_lent", "steward", "auditor"},
	"export:review": {"reviewer", "reviewer_lent"},
	"export:release": {"author"},
	"export:download": {"author"},
	"display:ask": {"author", "member"},
	"display:read": ({"author", "member", "colleague", "auditor"} | stewards_and_up),
	"display:decide": {"steward"},
	"display:withdraw": {"author"},
	"display:revoke": stewards_and_up,
	"package:ask": {"author", "member", "stranger"},
	"package:read": {"author", "member", "stranger", "administrator", "officer", "auditor"},
	"package:decide": {"administrator"},
	"audit:read": {"auditor"},
}

test_the_table_holds_for_everyone if {
	every act, who in table {
		allowed(act, thing) == who
	}
}

test_the_table_names_every_act if {
	{act | some act, _ in portal.needs; not startswith(act, "agreement:sign")} == {act | some act, _ in table}
}

test_the_owner_signs_by_its_steward_and_the_user_by_the_author if {
	allowed("agreement:sign", object.union(thing, {"side": "owner"})) == {"steward"}
	allowed("agreement:sign", object.union(thing, {"side": "user"})) == {"author"}
	ask("agreement:sign", "steward", object.union(thing, {"side": "both"})).reasons == ["act_unknown"]
	ask("agreement:sign", "steward", thing).reasons == ["act_unknown"]
}

test_nobody_decides_on_their_own_request if {
	own := object.union(thing, {"author": "officer"})
	ask("role:confirm", "officer", own).reasons == ["own_request"]
	ask("role:confirm", "officer", object.union(thing, {"subject": "officer"})).reasons == ["own_request"]
	ask("role:end", "administrator", object.union(thing, {"subject": "administrator"})).reasons == ["own_request"]
	ask("person:deactivate", "officer", object.union(thing, {"subject": "officer"})).reasons == ["own_request"]
	ask("role:request", "administrator", object.union(thing, {"subject": "administrator"})).reasons == ["own_request"]
	ask("export:review", "reviewer", object.union(thing, {"author": "reviewer"})).reasons == ["own_request"]
	ask("application:assess", "steward", object.union(thing, {"author": "steward"})).reasons == ["own_request"]
	ask("display:decide", "steward", object.union(thing, {"author": "steward"})).reasons == ["own_request"]
	ask("package:decide", "administrator", object.union(thing, {"author": "administrator"})).reasons == ["own_request"]
	ask("package:decide", "administrator", {}).reasons == ["own_request"]
}

test_nobody_decides_on_their_own_project if {
	every act, login in {"application:assess": "steward", "display:decide": "steward", "export:review": "reviewer_lent"} {
		ask(act, login, object.union(thing, {"members": [login]})).reasons == ["own_project"]
	}
	signing := object.union(thing, {"side": "owner", "members": ["steward"]})
	ask("agreement:sign", "steward", signing).reasons == ["own_project"]
}

test_only_the_side_that_placed_a_hold_lifts_it_or_the_officer if {
	cases := [
		["steward", {"steward", "officer"}],
		["administrator", {"administrator", "officer"}],
		["officer", {"officer"}],
		["steward_elsewhere", {"officer"}],
		["nobody", {"officer"}],
	]
	every case in cases {
		allowed("hold:lift", object.union(thing, {"placed_by": people[case[0]]})) == case[1]
	}
	ask("hold:lift", "steward", object.union(thing, {"placed_by": people.officer})).reasons == ["hold_of_other_side"]
	both := array.concat(people.steward, people.administrator)
	allowed("hold:lift", object.union(thing, {"placed_by": both})) == {"administrator", "officer"}
	allowed("hold:lift", {"body": "air"}) == {"officer"}
}

test_the_reason_says_what_is_missing if {
	cases := {
		["body:create", "steward", "role_missing"],
		["dataset:read", "nobody", ""],
		["dataset:publish", "steward_elsewhere", "other_body"],
		["dataset:publish", "author", "role_missing"],
		["export:review", "reviewer_elsewhere", "other_body"],
		["export:review", "steward", "role_missing"],
		["project:read", "stranger", "not_member"],
		["project:add_member", "member", "not_author"],
		["audit:read", "administrator", "role_missing"],
		["sandbox:open", "colleague", "role_missing"],
		["sandbox:open", "stranger", "not_member"],
		["dataset:delete", "administrator", "act_unknown"],
	}
	every case in cases {
		ask(case[0], case[1], thing).reasons == [code | some code in [case[2]]; code != ""]
	}
}

test_the_inactive_may_nothing if {
	decision := portal.decision with input as {
		"act": "audit:read",
		"person": {"login": "auditor", "active": false, "roles": people.auditor},
		"resource": {},
	}
	decision == {"allow": false, "reasons": ["person_inactive"], "obligations": {}}
}

test_a_fact_unknown_is_a_fact_denied if {
	ask("application:assess", "steward", {"body": "air"}).reasons == ["own_project", "own_request"]
	ask("role:confirm", "officer", {}).reasons == ["own_request"]
	ask("export:release", "author", {}).reasons == ["not_author"]
	ask("project:read", "author", {}).reasons == ["not_member"]
	ask("dataset:publish", "steward", {}).reasons == ["other_body"]
	ask("dataset:publish", "steward", {"body": null}).reasons == ["other_body"]
}

test_a_role_without_a_body_is_not_a_role_for_no_body if {
	decision := portal.decision with input as {
		"act": "dataset:publish",
		"person": {"login": "x", "active": true, "roles": [{"role": "steward", "body": null}]},
		"resource": {"body": null},
	}
	decision.reasons == ["other_body"]
}

test_nothing_known_denies if {
	decision := portal.decision with input as {}
	decision == {"allow": false, "reasons": ["act_unknown", "login_missing", "person_inactive"], "obligations": {}}
	anonymous := portal.decision with input as {"act": "dataset:read", "person": {"login": "", "active": true}}
	anonymous.reasons == ["login_missing"]
}
