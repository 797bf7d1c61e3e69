# METADATA
# title: May this query run?
# description: |
#   Asked by the guard for each query that comes to the door. Every data set named must be in an agreement of the
#   sandbox, with the access mode the agreement chose.
# custom:
#   articles: [A6, A10.3, A10.4]
package sandbox.query

# Bytes of one query's text (256 KiB).
max_bytes := 262144

modes := {"mounted", "queried"}

# METADATA
# title: decision
# entrypoint: true
decision := {
	"allow": count(reasons) == 0,
	"reasons": sort(reasons),
	"obligations": {"max_bytes": max_bytes},
}

# METADATA
# description: A11.1, withdrawn access ends with the lease
reasons contains "lease_ended" if not lease_live

reasons contains "query_mode_unknown" if not known_mode

reasons contains "query_datasets_unknown" if not known_datasets

# METADATA
# description: A10.3, only what was agreed
reasons contains "dataset_not_agreed" if {
	some dataset in input.query.datasets
	not dataset in agreed
}

# METADATA
# description: A10.4, delivered in the agreed way only
reasons contains "access_mode_other" if {
	some dataset in input.query.datasets
	some agreement in input.agreements
	agreement.dataset == dataset
	not agreed_mode(dataset)
}

reasons contains "query_too_large" if not small_enough

agreed contains agreement.dataset if some agreement in input.agreements

known_mode if input.query.mode in modes

known_datasets if is_array(input.query.datasets)

agreed_mode(dataset) if {
	some agreement in input.agreements
	agreement.dataset == dataset
	agreement.access == input.query.mode
}

lease_live if {
	input.lease.live == true
	is_number(input.lease.epoch)
}

small_enough if {
	is_number(input.query.size)
	input.query.size >= 0
	input.query.size <= max_bytes
}
