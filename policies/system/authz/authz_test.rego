package system.authz_test

import data.system.authz

runtime := {"env": {
	"DATASANDBOX_OPA_ACCEPTS_PORTAL": crypto.sha256("portal token"),
	"DATASANDBOX_OPA_ACCEPTS_SESSION": crypto.sha256("session token"),
}}

request(method, path, token) := {"method": method, "path": path, "identity": token, "params": {}}

allowed(facts) if {
	authz.allow with input as facts with opa.runtime as runtime
}

decision(package_name) := ["v1", "data", "sandbox", package_name, "decision"]

test_each_holder_asks_its_own_questions if {
	every name in {"session", "cell", "query", "display", "export", "package", "portal"} {
		allowed(request("POST", decision(name), "portal token"))
	}
	every name in {"cell", "query", "display"} {
		allowed(request("POST", decision(name), "session token"))
	}
	every name in {"session", "export", "package", "portal"} {
		not allowed(request("POST", decision(name), "session token"))
	}
}

test_the_revision_may_be_asked_and_nothing_else_by_parameter if {
	asked := request("POST", decision("cell"), "session token")
	allowed(object.union(asked, {"params": {"provenance": ["true"]}}))
	not allowed(object.union(asked, {"params": {"explain": ["full"]}}))
	not allowed(object.union(asked, {"params": {"provenance": ["true"], "metrics": ["true"]}}))
}

test_health_needs_no_token if {
	allowed({"method": "GET", "path": ["health"]})
	not allowed({"method": "POST", "path": ["health"]})
	not allowed({"method": "GET", "path": ["health"], "params": {"plugins": [""]}})
}

test_nobody_writes_lists_or_reads if {
	every method in {"GET", "PUT", "PATCH", "DELETE", "POST"} {
		every path in [
			["v1", "policies"], ["v1", "policies", "x"], ["v1", "data"], ["v1", "data", "sandbox"],
			["v1", "data", "sandbox", "cell"], ["v1", "data", "system", "authz", "allow"],
			["v1", "query"], ["v1", "compile"], ["v1", "config"], ["v1", "status"], ["metrics"], ["v0", "data"], [], [""],
			["v1", "data", "sandbox", "cell", "max_bytes"],
			["v1", "data", "other", "cell", "decision"],
		] {
			not allowed(request(method, path, "portal token"))
		}
	}
	every method in {"GET", "PUT", "PATCH", "DELETE"} {
		not allowed(request(method, decision("cell"), "portal token"))
	}
}

test_an_unknown_or_missing_token_is_nobody if {
	every token in {"", "other token", crypto.sha256("portal token")} {
		not allowed(request("POST", decision("cell"), token))
	}
	not allowed({"method": "POST", "path": decision("cell"), "params": {}})
}

test_an_environment_without_tokens_accepts_nobody if {
	asked := request("POST", decision("cell"), "portal token")
	not authz.allow with input as asked with opa.runtime as {"env": {}}
	not authz.allow with input as asked with opa.runtime as {}
	not authz.allow with input as {}
}
