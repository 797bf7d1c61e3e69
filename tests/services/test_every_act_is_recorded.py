"""A service that changes something leaves a record in the same transaction: every public one is known here, and run by the tests.

`World.as_` fails any act that changes a table without a record, so a service is covered as soon as a test runs it through a world.
"""

import ast
import inspect
from pathlib import Path

import pytest

from sandbox.services import (
    accounts,
    agreements,
    applications,
    catalogue,
    display,
    exports,
    extensions,
    packages,
    people,
    projects,
    releases,
    sandboxes,
)

MODULES = [
    *(accounts, agreements, applications, catalogue, display, exports, extensions, packages, people, projects, releases, sandboxes),
]
# Services that only read. Whatever is not here must record, itself or through the one it calls.
READERS = {
    *("accounts.session", "accounts.by_login", "accounts.actor_of"),
    *("agreements.agreements", "agreements.agreement", "agreements.policy_facts", "agreements.of_project", "agreements.sandbox_epoch"),
    "agreements.may_lift",
    *("applications.applications", "applications.application"),
    *("catalogue.datasets", "catalogue.dataset", "catalogue.version", "catalogue.seen", "catalogue.may_import"),
    *("catalogue.newest_published", "catalogue.job_spec"),
    *("exports.incoming", "exports.of_session", "exports.checked", "exports.check_job_spec", "exports.exports", "exports.export"),
    *("exports.certificate", "exports.certificate_key", "exports.shown_state", "exports.view", "exports.findings_view"),
    *("sandboxes.find", "sandboxes.in_force_agreements", "sandboxes.lease_of", "sandboxes.live_session", "sandboxes.sandbox_view"),
    *("sandboxes.to_cut", "sandboxes.visible_sandboxes"),
    "sandboxes.note_activity",  # a counter for the page; each execution is on record by the session itself
    *("display.limits", "display.default_day", "display.session_limits", "display.facts", "display.spent"),
    *("extensions.requests", "extensions.request", "extensions.in_force", "extensions.granted", "extensions.waiting_bodies"),
    *("extensions.may_revoke", "extensions.bodies_of"),
    *("packages.requests", "packages.may_decide", "packages.approved"),
    *("people.bodies", "people.persons", "people.grants", "people.find_body"),
    *("projects.projects", "projects.project", "projects.logins"),
    *("releases.job_spec", "releases.of_agreement", "releases.live"),
}


def public():
    for module in MODULES:
        short = module.__name__.rsplit(".", 1)[-1]
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                yield f"{short}.{name}", function


def calls(function):
    tree = ast.parse(inspect.getsource(function))
    return {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }


# A counter the session's own record explains: each output that is shown has its digest there.
COUNTERS = {"display.reserve"}


@pytest.mark.parametrize(("name", "function"), [pair for pair in public() if pair[0] not in READERS | COUNTERS])
def test_a_service_that_writes_records(name, function):
    assert calls(function) & {"record", "_record", "want_cut", "_end"}, f"{name} writes no record"


@pytest.mark.parametrize(("name", "function"), [pair for pair in public() if pair[0] in READERS])
def test_a_reader_writes_nothing(name, function):
    assert not calls(function) & {"record", "_record", "add", "delete", "unique_or", "enqueue"}, f"{name} is no reader"


def test_every_service_that_writes_is_run_through_a_world():
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py") if path != Path(__file__))
    missing = [
        name
        for name, _ in public()
        if name not in READERS and name.split(".")[1] not in {"start", "offer"} and f"{name}(" not in tests and f"{name}," not in tests
    ]
    assert missing == []


@pytest.mark.parametrize("module", MODULES)
def test_services_never_commit(module):
    assert not {"commit", "rollback", "begin"} & calls(module)
