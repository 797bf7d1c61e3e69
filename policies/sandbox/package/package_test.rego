package sandbox.package_test

import data.sandbox.package as packages

asked(ecosystem, name, version) := decision if {
	decision := packages.decision with input as {"package": {"ecosystem": ecosystem, "name": name, "version": version}}
}

test_an_ordinary_package_waits_for_a_person if {
	every case in [["pypi", "lifelines", "0.30.0"], ["pypi", "pm4py", "2.7.17.post1"], ["debian", "r-cran-survival", "3.5-3-1"], ["debian", "fonts-noto", "20201225-1"]] {
		asked(case[0], case[1], case[2]) == {"allow": true, "reasons": [], "obligations": {"decided_by": "administrator", "flags": []}}
	}
}

test_an_ecosystem_nobody_thought_about_is_refused if {
	every ecosystem in ["npm", "", null, 1, "PyPI"] {
		asked(ecosystem, "left-pad", "1.3.0").reasons == ["package_ecosystem_unknown"]
	}
}

test_a_name_is_a_name if {
	every name in ["", "-x", "a b", "git+https://example.org/x", "../x", "x;id", "Upper", "x\n", null, 1] {
		asked("pypi", name, "1.0").reasons == ["package_name_invalid"]
		asked("debian", name, "1.0").reasons == ["package_name_invalid"]
	}
}

test_a_version_is_one_version if {
	every version in ["", "latest", ">=1.0", "1.*", "1.0 --index-url http://example.org", "1.0\n", null, 1] {
		asked("pypi", "lifelines", version).reasons == ["package_version_invalid"]
		asked("debian", "r-cran-survival", version).reasons == ["package_version_invalid"]
	}
}

test_tools_against_the_sandbox_are_refused if {
	every case in [["pypi", "xmrig"], ["pypi", "scapy"], ["debian", "nmap"], ["debian", "gcc"], ["debian", "curl"]] {
		asked(case[0], case[1], "1.0").reasons == ["package_denied"]
	}
}

test_a_person_is_told_what_to_look_at if {
	asked("pypi", "requests", "2.32.0").obligations.flags == ["network"]
	asked("pypi", "stegano", "1.0").obligations.flags == ["hiding"]
}

test_nothing_known_denies if {
	decision := packages.decision with input as {}
	decision.allow == false
	decision.reasons == ["package_ecosystem_unknown"]
}
