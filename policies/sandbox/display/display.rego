# METADATA
# title: May this output be shown?
# description: |
#   Asked by the guard with the bytes a cell has shown so far, this output included. Over the cap the result stays in
#   the kernel. Budgets per agreement come with their own issue.
# custom:
#   articles: [A6, A10.4]
package sandbox.display

# Bytes one cell may show (256 KiB: a table of 60 rows has 16 KB, a scatter plot of 5,000 points 32 KB).
cell_bytes := 262144

# METADATA
# title: decision
# entrypoint: true
decision := {
	"allow": count(reasons) == 0,
	"reasons": sort(reasons),
	"obligations": {"cell_bytes": cell_bytes},
}

# METADATA
# description: A11.1, withdrawn access ends with the lease
reasons contains "lease_ended" if not lease_live

reasons contains "display_cap" if not within_cap

lease_live if {
	input.lease.live == true
	is_number(input.lease.epoch)
}

within_cap if {
	is_number(input.cell_bytes)
	input.cell_bytes >= 0
	input.cell_bytes <= cell_bytes
}
