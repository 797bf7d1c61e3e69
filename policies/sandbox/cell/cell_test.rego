package sandbox.cell_test

import data.sandbox.cell

message(type, channel, size) := {
	"lease": {"live": true, "epoch": 2},
	"message": {"type": type, "channel": channel, "size": size},
}

denied(facts, codes) if {
	decision := cell.decision with input as facts
	decision.allow == false
	decision.reasons == codes
}

test_every_listed_message_passes if {
	every channel, types in cell.passing {
		every type in types {
			decision := cell.decision with input as message(type, channel, 100)
			decision == {"allow": true, "reasons": [], "obligations": {"max_bytes": 1048576}}
		}
	}
}

test_other_messages_are_refused if {
	cases := {
		["debug_request", "control"], ["debug_request", "shell"], ["shutdown_request", "control"],
		["interrupt_request", "control"], ["comm_open", "shell"], ["comm_msg", "shell"], ["comm_close", "shell"],
		["execute_request", "control"], ["execute_request", "iopub"], ["input_reply", "shell"], ["", ""],
	}
	every case in cases {
		denied(message(case[0], case[1], 100), ["message_type_refused"])
	}
}

test_size_is_capped_and_must_be_a_number if {
	allowed := cell.decision with input as message("execute_request", "shell", 1048576)
	allowed.allow
	every size in {1048577, -1, "1", null, false} {
		denied(message("execute_request", "shell", size), ["message_too_large"])
	}
}

test_without_a_live_lease_nothing_passes if {
	facts := message("execute_request", "shell", 10)
	every lease in [{"live": false, "epoch": 2}, {"live": "yes", "epoch": 2}, {"live": true}, {}] {
		denied(json.patch(facts, [{"op": "replace", "path": "/lease", "value": lease}]), ["lease_ended"])
	}
}

test_nothing_known_denies if denied({}, ["lease_ended", "message_too_large", "message_type_refused"])
