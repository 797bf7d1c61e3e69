package sandbox.query_test

import data.sandbox.query

good := {
	"lease": {"live": true, "epoch": 2},
	"query": {"mode": "mounted", "datasets": ["flights"], "size": 80},
	"agreements": [
		{"id": "a1", "dataset": "flights", "access": "mounted", "columns": ["carrier"]},
		{"id": "a2", "dataset": "randhie", "access": "queried", "columns": ["mdvis"]},
	],
}

reasons(path, value) := decision.reasons if {
	decision := query.decision with input as json.patch(good, [{"op": "replace", "path": path, "value": value}])
	not decision.allow
}

test_an_agreed_data_set_in_its_mode_passes if {
	decision := query.decision with input as good
	decision == {"allow": true, "reasons": [], "obligations": {"max_bytes": 262144}}
	queried := json.patch(good, [{"op": "replace", "path": "/query", "value": {
		"mode": "queried",
		"datasets": ["randhie"],
		"size": 1,
	}}])
	other := query.decision with input as queried
	other.allow
}

test_a_query_without_data_passes if {
	decision := query.decision with input as json.patch(good, [{"op": "replace", "path": "/query/datasets", "value": []}])
	decision.allow
}

test_each_fact_denies_with_its_own_code if {
	cases := {
		["/lease", {"live": false, "epoch": 2}, "lease_ended"],
		["/lease", {"live": true}, "lease_ended"],
		["/query/datasets", ["flights", "secret"], "dataset_not_agreed"],
		["/query/datasets", ["flights", null], "dataset_not_agreed"],
		["/query/datasets", "flights", "query_datasets_unknown"],
		["/query/datasets", ["randhie"], "access_mode_other"],
		["/query/datasets", ["flights", "randhie"], "access_mode_other"],
		["/query/size", 262145, "query_too_large"],
		["/query/size", null, "query_too_large"],
		["/query/size", -1, "query_too_large"],
	}
	every case in cases {
		case[2] in reasons(case[0], case[1])
	}
}

test_an_unknown_mode_is_refused if {
	reasons("/query/mode", "download") == ["access_mode_other", "query_mode_unknown"]
}

test_nothing_known_denies if {
	decision := query.decision with input as {}
	decision.allow == false
	decision.reasons == ["lease_ended", "query_datasets_unknown", "query_mode_unknown", "query_too_large"]
}

test_agreements_unknown_denies_every_data_set if {
	"dataset_not_agreed" in reasons("/agreements", null)
}
