# METADATA
# title: May this export go on?
# description: |
#   Asked by the portal when a package is submitted (after its checks) and again, at the current epoch, when it is
#   released. Checks that deny end it; everything else goes before two people who are not its author.
# custom:
#   articles: [A6, A10.3, A10.4, A17]
package sandbox.export

# People who must agree, each for themselves.
reviewers := 2

verdicts := {"pass", "review", "deny"}

# METADATA
# title: decision
# entrypoint: true
decision := {
	"allow": count(reasons) == 0,
	"reasons": sort(reasons),
	"obligations": {"reviewers": reviewers},
}

reasons contains "act_unknown" if not known_act

reasons contains "author_unknown" if not known_author

# METADATA
# description: A11.1, withdrawn access ends with the lease; a release from the desk has none
reasons contains "lease_ended" if {
	"lease" in object.keys(input)
	not input.lease.live == true
}

# METADATA
# description: A10.3, results leave only under an agreement in force
reasons contains "agreement_not_active" if not input.agreement.state == "active"

reasons contains "agreement_expired" if not in_term

# METADATA
# description: A11.1, a hold stops exports in review as well
reasons contains "agreement_held" if not input.agreement.holds == 0

reasons contains "files_missing" if not some_file

# METADATA
# description: A6, an unchecked file is a refused file
reasons contains "checks_missing" if {
	some file in input.files
	not checked(file)
}

# METADATA
# description: A6, what a check refuses is refused for the check's own reason
reasons contains check.code if {
	some file in input.files
	some check in file.checks
	check.verdict == "deny"
}

reasons contains "reviews_missing" if {
	input.act == "release"
	count(approving) < reviewers
}

# METADATA
# description: A3, each owner body decides for its own data, by a reviewer of its own or of the authority's lent pool
reasons contains "body_review_missing" if {
	input.act == "release"
	not own_approval
}

own_approval if {
	some review in input.reviews
	review.person in approving
	some held in review.bodies
	speaks_for(held, input.agreement.body)
}

speaks_for(held, body) if {
	is_string(body)
	held.body == body
}

speaks_for(held, _) if held.kind == "authority"

# METADATA
# description: one reviewer's no is a no
reasons contains "review_rejected" if {
	input.act == "release"
	some review in input.reviews
	not review.verdict == "approve"
}

# METADATA
# description: separation of duties, nobody reviews their own export
reasons contains "own_review" if {
	input.act == "release"
	some review in input.reviews
	review.person == input.author
}

approving contains review.person if {
	some review in input.reviews
	review.verdict == "approve"
	is_string(review.person)
	review.person != input.author
}

known_act if input.act in {"submit", "release"}

known_author if {
	is_string(input.author)
	input.author != ""
}

some_file if {
	is_array(input.files)
	count(input.files) > 0
}

checked(file) if {
	is_array(file.checks)
	count(file.checks) > 0
	every check in file.checks {
		check.verdict in verdicts
		is_string(check.code)
	}
}

in_term if time.parse_rfc3339_ns(input.now) < time.parse_rfc3339_ns(input.agreement.not_after)
