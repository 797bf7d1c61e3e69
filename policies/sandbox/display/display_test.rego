package sandbox.display_test

import data.sandbox.display

lease := {"live": true, "epoch": 2}

usual := {"cell_bytes": 262144, "hour_bytes": 5242880, "day_bytes": 20971520}

more := {"cell_bytes": 524288, "hour_bytes": 10485760, "day_bytes": 41943040}

denied(facts, codes) if {
	decision := display.decision with input as facts
	decision.allow == false
	decision.reasons == codes
}

limits(now, extension) := object.filter(decision.obligations, ["cell_bytes", "hour_bytes", "day_bytes"]) if {
	decision := display.decision with input as {"lease": lease, "cell_bytes": 0, "now": now, "extension": extension}
	decision.allow
}

test_outputs_up_to_the_cap_are_shown if {
	every bytes in {0, 262144} {
		decision := display.decision with input as {"lease": lease, "cell_bytes": bytes}
		decision.allow == true
		decision.reasons == []
		object.filter(decision.obligations, ["cell_bytes", "hour_bytes", "day_bytes"]) == usual
		decision.obligations.extended == false
	}
}

test_over_the_cap_or_no_number_stays_in_the_kernel if {
	every bytes in {262145, -1, null, "1", false} {
		denied({"lease": lease, "cell_bytes": bytes}, ["display_cap"])
	}
}

test_without_a_live_lease_nothing_is_shown if {
	denied({"lease": {"live": false, "epoch": 2}, "cell_bytes": 1}, ["lease_ended"])
	denied({"lease": {"live": true}, "cell_bytes": 1}, ["lease_ended"])
}

test_nothing_known_denies if denied({}, ["display_cap", "lease_ended"])

test_what_was_agreed_raises_the_limits_until_its_time if {
	until := object.union(more, {"until": "2026-11-30T00:00:00.000Z"})
	limits("2026-11-29T23:59:59.999Z", until) == more
	limits("2026-11-30T00:00:00.000Z", until) == usual
	limits("2026-12-30T00:00:00.000Z", until) == usual
	facts := {"lease": lease, "cell_bytes": 300000, "now": "2026-11-29T00:00:00.000Z"}
	denied(facts, ["display_cap"])
	decision := display.decision with input as object.union(facts, {"extension": until})
	decision.allow
	decision.obligations.extended
}

test_nobody_agrees_to_more_than_the_ceiling if {
	endless := {"cell_bytes": 9007199254740991, "hour_bytes": 9007199254740991, "day_bytes": 9007199254740991, "until": "2026-11-30T00:00:00.000Z"}
	limits("2026-11-29T00:00:00.000Z", endless) == display.ceiling
}

test_an_extension_never_lowers if {
	little := {"cell_bytes": 1, "hour_bytes": -5, "day_bytes": 41943040, "until": "2026-11-30T00:00:00.000Z"}
	limits("2026-11-29T00:00:00.000Z", little) == object.union(usual, {"day_bytes": 41943040})
}

test_an_extension_that_is_not_whole_extends_nothing if {
	every extension in [null, {}, more, object.union(more, {"until": "soon"}), {"until": "2026-11-30T00:00:00.000Z", "day_bytes": 41943040}, object.union(more, {"hour_bytes": "10485760", "until": "2026-11-30T00:00:00.000Z"})] {
		limits("2026-11-29T00:00:00.000Z", extension) == usual
	}
	decision := display.decision with input as {"lease": lease, "cell_bytes": 0, "extension": object.union(more, {"until": "2026-11-30T00:00:00.000Z"})}
	decision.obligations.day_bytes == 20971520
}
