"""The command's edges: no deployment, a report that is not there or not well, one that is."""

import json

import pytest

from bench.__main__ import main
from bench.demo_time import demo_time
from sandbox.deploy.steps import SetupError

DEPLOYMENT = {"id": "0123abcd", "url": "http://sandbox.localhost:1", "port": 1, "demo": True, "images": {}}


def write(home, name, value):
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def took(**other):
    return {"seconds": 12.5, "first": True, "ok": True, "up": True} | other


@pytest.mark.parametrize("made", [{}, {"deployment.json": DEPLOYMENT | {"demo": False}}, {"deployment.json": DEPLOYMENT}])
def test_without_a_running_demonstration_it_ends_with_2_and_says_no_deployment(tmp_path, capsys, made):
    for name, value in made.items():
        write(tmp_path, name, value)
    assert main(["B1", "--home", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("no_deployment")


def test_a_demonstration_that_does_not_answer_is_no_deployment(tmp_path, capsys):
    write(tmp_path, "deployment.json", DEPLOYMENT)
    write(tmp_path, "demo/accounts.json", {"accounts": {"researcher": {"password": "not used: nothing listens"}}})
    assert main(["B1", "--home", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("no_deployment")


def test_an_unknown_benchmark_is_named(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["B99"])
    assert ended.value.code == 2
    assert "unknown: B99" in capsys.readouterr().err


@pytest.mark.parametrize(("first", "goal"), [(True, "<= 720"), (False, "<= 60")])
def test_b18_takes_the_goal_of_the_run_that_was_reported(tmp_path, first, goal):
    write(tmp_path, "demo/took.json", took(first=first))
    found = demo_time(tmp_path)
    assert (found.ours, found.goal, found.ok) == (12.5, goal, True)


@pytest.mark.parametrize("report", [None, [], took(ok=False), took(up=False), {"no": "figure"}])
def test_b18_is_not_told_from_a_run_that_did_not_go_well(tmp_path, report):
    if report is not None:
        write(tmp_path, "demo/took.json", report)
    with pytest.raises(SetupError) as refused:
        demo_time(tmp_path)
    assert refused.value.code == "no_report"


def test_b18_alone_needs_no_live_sandbox_and_writes_its_json(tmp_path, capsys):
    write(tmp_path, "deployment.json", DEPLOYMENT)
    write(tmp_path, "demo/accounts.json", {"accounts": {}})
    write(tmp_path, "demo/took.json", took())
    assert main(["B18", "--home", str(tmp_path), "--json", str(tmp_path / "out" / "bench.json")]) == 0
    (told,) = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert (told["id"], told["ours"]) == ("B18", 12.5)
    assert "B18" in capsys.readouterr().out
