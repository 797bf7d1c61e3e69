# METADATA
# title: How much may be shown?
# description: |
#   Asked by the guard with the bytes a cell has shown so far, this output included, and by the portal with `cell_bytes` 0
#   for the limits of a person's work in a project. Over a limit the result stays in the kernel.
#   Owner bodies may agree to more until a time (`extension`); no agreement of theirs goes beyond the ceiling.
# custom:
#   articles: [A6, A10.4]
package sandbox.display

# A cell: 256 KiB (a table of 60 rows has 16 KB, a scatter plot of 5,000 points 32 KB); 60 minutes: 5 MiB; 24 hours: 20 MiB.
defaults := {"cell_bytes": 262144, "hour_bytes": 5242880, "day_bytes": 20971520}

# The most that owner bodies can agree to: four times the defaults.
ceiling := {"cell_bytes": 1048576, "hour_bytes": 20971520, "day_bytes": 83886080}

# METADATA
# title: decision
# entrypoint: true
decision := {
	"allow": count(reasons) == 0,
	"reasons": sort(reasons),
	"obligations": object.union(limits, {"extended": extended, "ceiling": ceiling}),
}

limits[name] := limit(name) if some name, _ in defaults

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
	input.cell_bytes <= limits.cell_bytes
}

default extended := false

# METADATA
# description: A10.4, what was agreed holds until its time; a time or figure that is not there agrees to nothing
extended if {
	time.parse_rfc3339_ns(input.now) < time.parse_rfc3339_ns(input.extension.until)
	every name, _ in defaults {
		is_number(input.extension[name])
	}
}

limit(name) := defaults[name] if not extended

# An extension raises, it never lowers.
limit(name) := max([defaults[name], min([input.extension[name], ceiling[name]])]) if extended
