# METADATA
# title: Who may do what in the portal
# description: |
#   All acts of `sandbox/domain/permissions.py`. An act needs every line of its list; a line is met by any of its
#   facts. A separation of duties is a fact as well ("not_author"), so that an unknown author denies.
# custom:
#   articles: [A3, A5, A7.1, A10.2, A10.3, A10.4, A11.1, A17]
package sandbox.portal

# METADATA
# title: decision
# entrypoint: true
decision := {"allow": count(reasons) == 0, "reasons": sort(reasons), "obligations": {}}

needs := {
	"body:create": [["administrator"]],
	"person:create": [["administrator"]],
	"person:deactivate": [["administrator", "officer"], ["not_subject"]],
	"person:read": [["administrator", "officer", "auditor"]],
	"role:request": [["administrator"], ["not_subject"]],
	"role:end": [["administrator"], ["not_subject"]],
	"role:confirm": [["officer"], ["not_author"], ["not_subject"]],
	"dataset:read": [["anyone"]],
	"dataset:register": [["steward_of_body"]],
	"dataset:import": [["steward_of_body"]],
	"dataset:classify": [["steward_of_body"]],
	"dataset:publish": [["steward_of_body"]],
	"project:create": [["researcher"]],
	"project:read": [["member"]],
	"project:add_member": [["author"]],
	"application:write": [["researcher"], ["member"]],
	"application:submit": [["researcher"], ["member"]],
	"application:read": [["member", "steward_of_body", "auditor"]],
	"application:assess": [["steward_of_body"], ["not_author"], ["not_member"]],
	"agreement:read": [["member", "steward_of_body", "auditor", "administrator", "officer"]],
	"agreement:sign as owner": [["steward_of_body"], ["not_member"]],
	"agreement:sign as user": [["author"]],
	"agreement:revoke": [["steward_of_body", "administrator", "officer"]],
	"agreement:hold": [["steward_of_body", "administrator", "officer"]],
	"hold:lift": [["steward_of_body", "administrator", "officer"], ["hold_of_own_side"]],
	"sandbox:read": [["member", "steward_of_body", "administrator", "officer", "auditor"]],
	"sandbox:open": [["researcher"], ["member"]],
	"sandbox:close": [["researcher"], ["member"]],
	"export:read": [["author", "member", "reviewer_of_body", "steward_of_body", "auditor"]],
	"export:review": [["reviewer_of_body"], ["not_author"], ["not_member"]],
	"export:release": [["author"]],
	"export:download": [["author"]],
	"display:ask": [["researcher"], ["member"]],
	"display:read": [["member", "steward_of_body", "administrator", "officer", "auditor"]],
	"display:decide": [["steward_of_body"], ["not_author"], ["not_member"]],
	"display:withdraw": [["author"]],
	"display:revoke": [["steward_of_body", "administrator", "officer"]],
	"package:ask": [["researcher"]],
	"package:read": [["researcher", "administrator", "officer", "auditor"]],
	"package:decide": [["administrator"], ["not_author"]],
	"audit:read": [["auditor"]],
}

# METADATA
# description: A17, an act traces to a person in service
reasons contains "person_inactive" if not input.person.active == true

reasons contains "login_missing" if not login

reasons contains "act_unknown" if not known_act

reasons contains code(line[0]) if {
	some line in needs[act]
	every fact in line {
		not fact in facts
	}
}

known_act if needs[act]

# Signing is two acts: the side says for whom.
act := input.act if {
	input.act != "agreement:sign"
} else := sprintf("agreement:sign as %s", [input.resource.side])

login := input.person.login if {
	is_string(input.person.login)
	input.person.login != ""
}

roles contains held.role if some held in input.person.roles

facts contains "anyone" if login

facts contains role if {
	some role in {"administrator", "officer", "auditor", "researcher"}
	role in roles
}

# METADATA
# description: A3, every data set has one owner body, and only its stewards act for it
facts contains "steward_of_body" if is_steward

is_steward if {
	some held in input.person.roles
	held.role == "steward"
	held.body == input.resource.body
	is_string(held.body)
}

facts contains "reviewer_of_body" if {
	some held in input.person.roles
	held.role == "reviewer"
	held.body == input.resource.body
	is_string(held.body)
}

# METADATA
# description: an authority lends its reviewers to bodies too small to have two of their own
facts contains "reviewer_of_body" if {
	some held in input.person.roles
	held.role == "reviewer"
	held.body_kind == "authority"
}

# METADATA
# description: A11.2, who suspended restores; the officer may lift any hold, a steward none of an officer or administrator
facts contains "hold_of_own_side" if "officer" in roles

facts contains "hold_of_own_side" if {
	"administrator" in roles
	"administrator" in placer_roles
	not "officer" in placer_roles
}

facts contains "hold_of_own_side" if {
	is_steward
	some held in input.resource.placed_by
	held.role == "steward"
	held.body == input.resource.body
	count(placer_roles & {"administrator", "officer"}) == 0
}

placer_roles contains held.role if some held in input.resource.placed_by

facts contains "member" if login in input.resource.members

facts contains "not_member" if {
	is_array(input.resource.members)
	not login in input.resource.members
}

facts contains "author" if input.resource.author == login

facts contains "not_author" if input.resource.author != login

facts contains "not_subject" if input.resource.subject != login

# What is said when a line is not met: the reason of its first fact.
code("steward_of_body") := "other_body" if "steward" in roles

code("steward_of_body") := "role_missing" if not "steward" in roles

code("reviewer_of_body") := "other_body" if "reviewer" in roles

code("reviewer_of_body") := "role_missing" if not "reviewer" in roles

code(fact) := {
	"anyone": "login_missing",
	"administrator": "role_missing",
	"officer": "role_missing",
	"auditor": "role_missing",
	"researcher": "role_missing",
	"member": "not_member",
	"author": "not_author",
	"not_member": "own_project",
	"not_author": "own_request",
	"not_subject": "own_request",
	"hold_of_own_side": "hold_of_other_side",
}[fact]
