"""`sandbox prove`: the attacks on a live deployment, and the three forms of the answer."""

import asyncio
import contextlib
import json
import os
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from sandbox.client import ApiError, Client, choose_project
from sandbox.client_cli import password_of, read_json
from sandbox.deploy import demo_data
from sandbox.deploy.demo import Demo
from sandbox.deploy.state import load
from sandbox.deploy.steps import CHECKOUT
from sandbox.prove import inside
from sandbox.prove.catalogue import NOT_TRIED, TITLES
from sandbox.prove.page import page
from sandbox.prove.verdicts import NOT_APPLICABLE, Verdict, breached, document
from sandbox.prove.web import Browser


async def prove(home: Path, user: str, project: str, stranger: str) -> tuple[list[Verdict], dict[str, str]]:
    """Make every attack as `user` in the project's sandbox; return the verdicts in the catalogue's order, and the facts of the run."""
    deployment = load(home)
    if deployment is None:
        raise click.ClickException(f"{home} holds no deployment: `sandbox up` makes one")
    began = datetime.now(UTC)
    facts = {
        "日期 date": began.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "部署 deployment": f"{deployment.id}, {deployment.url}",
        "版本 version": version("datasandbox-server"),
        **{f"镜像 image {name}": identity for name, identity in sorted(deployment.images.items())},
    }
    async with contextlib.AsyncExitStack() as stack:

        async def enters(login: str) -> Client:
            return await stack.enter_async_context(Client(deployment.url, login, secret_of(home, login)))

        auditor = await enters("auditor") if deployment.demo else None
        if not project and deployment.demo:
            project = await granted(Demo(deployment, [demo_data.flights(), demo_data.randhie()]))
        person = await enters(user)
        other = await enters(stranger) if stranger else None
        sandbox = await person.open(project or await choose_project(person))
        facts["沙箱 sandbox"] = f"{sandbox['id']} ({user})"
        head = await auditor.get("/audit/head") if auditor else None
        runtime, where = await inside.runtime_of(person)
        verdicts = await inside.probe(person, home, sandbox["id"], where, runtime)
        verdicts += await inside.limits(person, deployment.run / "sb" / sandbox["id"] / "sock", runtime)
        for number, attack in Browser(person, other).attacks().items():
            start = (await auditor.get("/audit/head"))["size"] if auditor else 0
            try:
                word, evidence = await attack()
            except (ApiError, OSError, ValueError, TimeoutError) as error:
                word, evidence = NOT_APPLICABLE, f"not made: {type(error).__name__} {error}"[:300]
            if auditor:
                evidence += await recorded(auditor, start, sandbox["id"])
            verdicts.append(Verdict(number, TITLES[number][0], runtime, word, evidence))
        if auditor and head:
            end = await auditor.get("/audit/head")
            facts["记录 log"] = f"{head['size']} → {end['size']}, {end['root']}"
            facts["检查点 checkpoint"] = str(end.get("checkpoint", ""))
        await person.close_kernel()
        await person.post(f"/sandboxes/{sandbox['id']}/close")
    return complete(verdicts, runtime), facts


def complete(verdicts: list[Verdict], runtime: str) -> list[Verdict]:
    """Return a verdict for each id of the catalogue, in its order: what was not tried says why."""
    found = {one.id: one for one in verdicts}
    return [
        found.get(number) or Verdict(number, title[0], runtime, NOT_APPLICABLE, NOT_TRIED.get(number, "prove does not make it yet"))
        for number, title in TITLES.items()
    ]


async def granted(demo: Demo) -> str:
    """Return a project of the demonstration whose agreements are in force: that of an unfinished run, else a new one."""
    demo.folder.mkdir(mode=0o700, exist_ok=True)
    async with demo.stack:
        await demo.set_up_people()
        await demo.register_data()
        await demo.agree()
        await demo.prepare()
    return demo.project


async def recorded(auditor: Client, start: int, sandbox: str) -> str:
    """Name the records of refusals since `start`, as the auditor sees them."""
    entries: list[dict[str, Any]] = (await auditor.get(f"/audit/entries?start={start}&count=200&sandbox={sandbox}"))["entries"]
    refused = [f"#{one['index']} {one['leaf']['kind']}" for one in entries if one["leaf"]["kind"].endswith(("refused", "denied"))]
    return f"; records: {', '.join(refused[:8])}" if refused else ""


def secret_of(home: Path, login: str) -> str:
    """Return a person's password: of DATASANDBOX_PASSWORD_<LOGIN>, else of the demonstration's accounts."""
    if given := os.environ.get(f"DATASANDBOX_PASSWORD_{login.upper()}"):
        return given
    accounts = read_json(home / "demo" / "accounts.json").get("accounts", {})
    return str(accounts[login]["password"]) if login in accounts else password_of(login)


def lines(verdicts: list[Verdict]) -> list[str]:
    """Return the text: one line an id, then the sum."""
    count = {word: sum(one.verdict == word for one in verdicts) for word in ("held", "breached", "not applicable")}
    said = [f"{one.id:<4} {one.verdict:<15} {TITLES[one.id][0]} · {TITLES[one.id][1]}: {one.evidence[:160]}" for one in verdicts]
    return [*said, ", ".join(f"{number} {word}" for word, number in count.items())]


@click.command("prove")
@click.option("--home", type=click.Path(path_type=Path), envvar="DATASANDBOX_HOME", default=CHECKOUT / "var", help="State directory.")
@click.option("--user", default="researcher", show_default=True, help="Whose sandbox is attacked.")
@click.option("--stranger", default="", help="Another person's login, for X1; researcher2 in a demonstration.")
@click.option("--project", default="", help="Project id; a demonstration makes one of its own, else the newest.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the verdicts as JSON.")
@click.option("--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to keep.")
def main(home: Path, *, user: str, stranger: str, project: str, json_file: Path | None, html_file: Path | None) -> None:
    """Make the threat model's attacks on the running deployment, say held, breached or not applicable; exit 1 on a breach."""
    home = home.absolute()
    demo = bool(read_json(home / "deployment.json").get("demo"))
    try:
        verdicts, facts = asyncio.run(prove(home, user, project, stranger or ("researcher2" if demo else "")))
    except ApiError as error:
        raise click.ClickException(str(error)) from error
    for line in lines(verdicts):
        click.echo(line)
    if json_file:
        json_file.write_text(json.dumps(document(verdicts), ensure_ascii=False, indent=1) + "\n")
    if html_file:
        html_file.write_text(page(verdicts, facts))
    sys.exit(1 if breached(verdicts) else 0)
