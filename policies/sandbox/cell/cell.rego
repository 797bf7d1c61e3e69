# METADATA
# title: May this message enter the running kernel?
# description: |
#   Asked by the guard for each message of the researcher's browser, before it is recorded as delivered.
#   It sees the lease, the message's type, channel and size; never its code.
# custom:
#   articles: [A6, A11.1]
package sandbox.cell

# Bytes of one message, headers and buffers included (1 MiB).
max_bytes := 1048576

# What may pass, by channel. Not here, so refused: debug_request (evaluates without a record of code), comm_* (a
# channel of the kernel's own making), interrupt and shutdown (they come by REST and are recorded there).
passing := {
	"shell": {
		"execute_request", "complete_request", "inspect_request", "history_request",
		"kernel_info_request", "is_complete_request", "comm_info_request",
	},
	"stdin": {"input_reply"},
	"control": {"kernel_info_request"},
}

# METADATA
# title: decision
# entrypoint: true
decision := {
	"allow": count(reasons) == 0,
	"reasons": sort(reasons),
	"obligations": {"max_bytes": max_bytes},
}

# The undefined trap: OPA evaluates a negated call's arguments first, so `not f(input.missing)` is undefined, not true, and
# the message would pass. Hence every rule of this bundle negates a name or a comparison, and the tests ask with `{}`.

# METADATA
# description: A11.1, withdrawn access ends with the lease
reasons contains "lease_ended" if not lease_live

reasons contains "message_type_refused" if not known_type

reasons contains "message_too_large" if not small_enough

known_type if input.message.type in passing[input.message.channel]

lease_live if {
	input.lease.live == true
	is_number(input.lease.epoch)
}

small_enough if {
	is_number(input.message.size)
	input.message.size >= 0
	input.message.size <= max_bytes
}
