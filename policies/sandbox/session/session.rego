# METADATA
# title: May this sandbox start?
# description: |
#   Asked by the portal in the transaction that signs the launch spec, with facts read in that transaction.
#   Every rule names what must be so; a missing fact is a fact that is not so.
# custom:
#   articles: [A6, A10.3, A10.4, A11.1, A17]
package sandbox.session

# One person's sandboxes that may live at once on a node of the default size.
max_live := 3

# METADATA
# title: decision
# entrypoint: true
decision := {"allow": count(reasons) == 0, "reasons": sort(reasons), "obligations": {}}

# METADATA
# description: A17, an act traces to a person in service
reasons contains "person_inactive" if not input.person.active == true

# METADATA
# description: A10.4, the sandbox is a researcher's
reasons contains "role_missing" if not researcher

# METADATA
# description: A10.3, the agreement is the project's, so only its members use it
reasons contains "not_member" if not input.project.member == true

reasons contains "project_not_active" if not input.project.state == "active"

# METADATA
# description: A10.3, no agreement, no data
reasons contains "no_agreement" if not some_agreement

reasons contains "agreement_not_active" if {
	some agreement in agreements
	not agreement.state == "active"
}

# METADATA
# description: A10.3, the term is compared at every decision, not by a job
reasons contains "agreement_expired" if {
	some agreement in agreements
	not in_term(agreement)
}

# METADATA
# description: A11.1, a hold restricts at once
reasons contains "agreement_held" if {
	some agreement in agreements
	not agreement.holds == 0
}

# METADATA
# description: A6, nobody starts a server that the portal did not order for this person
reasons contains "server_not_requested" if not input.server.requested == true

reasons contains "not_owner" if not input.server.owner == true

reasons contains "too_many_sandboxes" if not few_enough

agreements := input.agreements if is_array(input.agreements)

some_agreement if count(agreements) > 0

researcher if {
	some held in input.person.roles
	held.role == "researcher"
}

in_term(agreement) if time.parse_rfc3339_ns(input.now) < time.parse_rfc3339_ns(agreement.not_after)

few_enough if {
	is_number(input.live_sandboxes)
	input.live_sandboxes >= 0
	input.live_sandboxes < max_live
}
