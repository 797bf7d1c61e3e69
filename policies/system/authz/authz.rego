# METADATA
# title: Who may speak to OPA
# description: |
#   Without this anyone who reaches OPA can replace the export policy. Tokens ask for decisions and nothing else; nobody
#   writes, lists or reads: policies come from the bundle OPA was started with. OPA holds no token, only their SHA-256
#   (hex, `secrets/opa/accepts/*.sha256`) in its environment; a variable that is not set accepts nobody.
# custom:
#   articles: [A6, A17]
package system.authz

# METADATA
# title: allow
# entrypoint: true
default allow := false

# Liveness, for the engine's health check: it tells nothing.
allow if {
	input.method == "GET"
	input.path == ["health"]
	parameters == set()
}

allow if {
	input.method == "POST"
	count(input.path) == 5
	array.slice(input.path, 0, 3) == ["v1", "data", "sandbox"]
	input.path[3] in questions[holder]
	input.path[4] == "decision"
	parameters - {"provenance"} == set()
}

# What each holder may ask: a session asks about its own messages only.
questions := {
	"portal": {"session", "cell", "query", "display", "export", "package", "portal"},
	"session": {"cell", "query", "display"},
}

variables := {
	"portal": "DATASANDBOX_OPA_ACCEPTS_PORTAL",
	"session": "DATASANDBOX_OPA_ACCEPTS_SESSION",
}

# One holder a token; should both be the same text, this is a conflict and OPA denies.
holder := name if {
	some name, variable in variables
	crypto.sha256(input.identity) == opa.runtime().env[variable]
}

parameters := {name | some name, _ in input.params}
