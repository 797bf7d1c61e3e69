package sandbox.display_test

import data.sandbox.display

lease := {"live": true, "epoch": 2}

denied(facts, codes) if {
	decision := display.decision with input as facts
	decision.allow == false
	decision.reasons == codes
}

test_outputs_up_to_the_cap_are_shown if {
	every bytes in {0, 262144} {
		decision := display.decision with input as {"lease": lease, "cell_bytes": bytes}
		decision == {"allow": true, "reasons": [], "obligations": {"cell_bytes": 262144}}
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
