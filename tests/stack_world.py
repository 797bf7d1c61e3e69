"""What tests on the running stack start from: the demonstration's people and datasets, made through the real interfaces.

`seed(stack)` is idempotent and runs once a run; `granted(stack)` makes a new project whose releases are ready, for tests about what
comes after. Both are the demonstration's own first steps, so that there is one way to do this.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.client import Client
from sandbox.deploy import demo_data
from sandbox.deploy.demo import Demo

if TYPE_CHECKING:
    from conftest import Stack

DATASETS = ("flights", "randhie")  # mounted, queried
_seeded: set[str] = set()


@dataclass(frozen=True)
class Grant:
    """A project of `researcher` with agreements in force: flights mounted, randhie queried."""

    project: str
    application: str
    agreements: dict[str, str]  # dataset -> id of its agreement
    releases: dict[str, Any]  # dataset -> {"rows", "bytes", "sha256"}


def _demo(stack: "Stack") -> Demo:
    return Demo(stack.deployment, [demo_data.flights(), demo_data.randhie()])


async def seed(stack: "Stack") -> None:
    """Bodies, people with their roles, and both datasets published."""
    if stack.deployment.id in _seeded:
        return
    demo = _demo(stack)
    async with demo.stack:
        await demo.set_up_people()
        await demo.register_data()
    _seeded.add(stack.deployment.id)


async def granted(stack: "Stack") -> Grant:
    """A new project: applied, assessed, signed by both sides, releases prepared."""
    await seed(stack)
    demo = _demo(stack)
    (demo.folder / "run.json").unlink(missing_ok=True)  # not the project of an earlier call
    async with demo.stack:
        demo.accounts = stack.accounts
        await demo.agree()
        releases = await demo.prepare()
    agreements = {item["dataset"]: one["id"] for one in demo.agreements for item in one["items"]}
    return Grant(demo.project, demo.application, agreements, releases)


async def close_sandboxes(stack: "Stack", login: str = "researcher") -> None:
    """Close what that person has open: a person may have few at once, and all tests share the people."""
    async with Client(stack.url, login, stack.accounts[login]["password"]) as person:
        for sandbox in (await person.get("/sandboxes"))["items"]:
            if sandbox["state"] in {"requested", "starting", "running"}:
                await person.post(f"/sandboxes/{sandbox['id']}/close")
