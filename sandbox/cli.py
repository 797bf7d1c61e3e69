"""The `sandbox` command. Parts are imported when their command runs, so that one that is missing breaks only its own."""

import importlib
import os
from pathlib import Path
from typing import Any, ClassVar

import click

from sandbox.deploy.steps import CHECKOUT, SetupError

HOME = click.option(
    "--home",
    type=click.Path(path_type=Path),
    envvar="DATASANDBOX_HOME",
    default=CHECKOUT / "var",
    show_default="var/ in the checkout",
    help="Where the deployment's state lives.",
)
URL = click.option("--url", envvar="DATASANDBOX_URL", default="", help="Public address, such as http://sandbox.localhost:8000.")


class Parts(click.Group):
    """A group that explains a SetupError, and finds `run` and `demo` in modules of their own."""

    lazy: ClassVar = {
        "run": ("sandbox.client_cli", "run"),
        "demo": ("sandbox.deploy.demo", "main"),
        "prove": ("sandbox.prove.command", "main"),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module now."""
        if cmd_name in self.lazy:
            module, name = self.lazy[cmd_name]
            command: click.Command = getattr(importlib.import_module(module), name)
            return command
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a SetupError becomes its message, what to do, and exit code 1."""
        try:
            return super().invoke(ctx)
        except SetupError as error:
            click.echo(f"✗ {error.code}: {error}\n  what to do: {error.advice}", err=True)
            ctx.exit(1)


@click.group(cls=Parts)
def main() -> None:
    """Set up, start and stop a deployment of Data Sandbox on this machine."""


@main.command()
@click.option("--tests", is_flag=True, help="Also what only the tests need: PostgreSQL and Chromium.")
def setup(tests: bool) -> None:
    """Install, compile and build what is missing."""
    from sandbox.deploy import compose  # noqa: PLC0415

    compose.setup(tests=tests)
    click.echo("everything is set up")


@main.command()
@HOME
@URL
@click.option("--demo/--no-demo", default=None, help="Demonstration mode: no one-time codes, loopback only.")
def init(home: Path, url: str, demo: bool | None) -> None:
    """Make the state: directories, tokens and keys, each once."""
    from sandbox.deploy import state  # noqa: PLC0415

    made = state.init(home.absolute(), url=url, demo=demo)
    click.echo(f"deployment {made.id} in {made.home}, {made.url}")


@main.command()
@HOME
@URL
@click.option("--demo/--no-demo", default=None, help="Demonstration mode: no one-time codes, loopback only.")
def up(home: Path, url: str, demo: bool | None) -> None:
    """Start the deployment and wait until all its parts answer."""
    from sandbox.deploy import compose  # noqa: PLC0415

    compose.up(home.absolute(), url=url, demo=demo)


@main.command()
@HOME
def down(home: Path) -> None:
    """Stop the deployment; its data stay."""
    from sandbox.deploy import compose  # noqa: PLC0415

    compose.down(home.absolute())


@main.command()
@HOME
def clean(home: Path) -> None:
    """Stop the deployment and remove its data; refused while something is mounted there."""
    from sandbox.deploy import compose  # noqa: PLC0415

    compose.clean(home.absolute())


@main.command()
@HOME
def doctor(home: Path) -> None:
    """Say what this machine lacks and what an earlier deployment left behind."""
    from sandbox.deploy import doctor as part  # noqa: PLC0415

    if not part.examine(home.absolute()):
        raise SystemExit(1)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Set up, run all tests (ARGUMENTS go to pytest), and leave the machine as it was."""
    from sandbox.deploy import testing  # noqa: PLC0415

    raise SystemExit(testing.run_tests(list(arguments)))


if __name__ == "__main__":
    os.umask(0o022)
    main()
