"""Starting and stopping the processes of a deployment through docker-compose.yml."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.deploy import gvisor, host, images, mounts, state, tools
from sandbox.deploy.state import Deployment
from sandbox.deploy.steps import CHECKOUT, SetupError, run, say
from sandbox.settings import DEFAULT_URL, WORKSPACE_BYTES, WORKSPACE_INODES, Settings, image_variable
from sandbox.warden import loop

# what must answer inside the networks, asked from the portal's container: names and routes are proven too
FIRST = {
    "log": "http://log:8020/healthz",
    "opa": "http://opa:8181/health",
    "warden": "http://warden:8030/healthz",
    "portal": "http://portal:8011/healthz",
}
LAST = {"hub": "http://hub:8081/hub/health", "proxy": "http://proxy:8000/_chp_healthz"}
PROBE = "import sys, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(sys.argv[1], timeout=3)"
RUNTIMES = ("runc", gvisor.NAME)
REMOVALS = 4  # attempts
PATIENCE = 90  # seconds a service may take to answer


def setup(*, tests: bool = False, runtime: str = "") -> dict[str, str]:
    """Install, compile and build what is missing; return image name -> tag. Raises SetupError.

    gVisor takes a minute to compile: it is built for the tests, and where `runtime` (or DATASANDBOX_RUNTIME) asks for it.
    """
    host.engine()
    if tests or (runtime or os.environ.get("DATASANDBOX_RUNTIME")) == gvisor.NAME:
        gvisor.setup()
    if tests:
        host.packages(host.FOR_TESTS)
    tools.compose()
    tools.opa()
    tags = images.build()
    images.vendor()
    return tags


def up(home: Path, *, url: str = "", demo: bool | None = None, images_for: Mapping[str, str] | None = None) -> Deployment:
    """Start the deployment of `home` and return it once all its parts answer; `images_for` (name -> tag) replaces images of its own.

    Raises SetupError: `port_taken`, `not_healthy` (with the end of that service's output), and those of `setup` and `state.init`.
    """
    began = time.monotonic()
    tags = setup(runtime=runtime(home)) | dict(images_for or {})
    deployment = state.init(home, url=url, demo=demo)
    deployment = replace(deployment, images={name: images.identity(tag) for name, tag in tags.items()})
    deployment.save()
    free(deployment)
    _workspaces(deployment)
    # After a restart of the machine the engine may have started services before these mounts: they must be made anew.
    anew = ["--force-recreate"] if any([mounts.share(home), mounts.share(deployment.run)]) else []
    state.docker_door(deployment)
    _environment(deployment)
    say(f"· starting {deployment.project} …")
    _compose(deployment, "up", "-d", "--no-build", "--pull", "never", "--quiet-pull", *anew, "proxy", "log", "opa", "warden", "portal")
    _wait(deployment, FIRST)
    _compose(deployment, "up", "-d", "--no-build", "--pull", "never", "--quiet-pull", "--remove-orphans")
    _wait(deployment, LAST)
    _through_proxy(deployment)
    say(f"  {deployment.url} answers after {time.monotonic() - began:.0f} s")
    return deployment


def down(home: Path) -> None:
    """Stop the deployment of `home`: sandboxes first, then the services, then mounts, deepest first. Its data stay."""
    deployment = state.load(home)
    if deployment is None:
        say("· nothing to stop: there is no deployment here")
        return
    if not host.engine_answers():
        say("· the Docker Engine does not answer, so nothing of it runs")
    else:
        _remove_containers(deployment, lambda labels: "com.docker.compose.project" not in labels)
        if (home / "compose.env").exists():
            _compose(deployment, "down", "--timeout", "10", "--remove-orphans")
        _remove_containers(deployment, lambda _labels: True)
    stayed = [*mounts.release(deployment.run), *mounts.release(home)]
    if not mounts.mounted_under(deployment.run):
        shutil.rmtree(deployment.run, ignore_errors=True)
    for place in stayed:
        say(f"  still mounted: {place}")
    say(f"  {deployment.project} is stopped; its data stay in {home}")


def clean(home: Path) -> None:
    """Remove the state of `home` but not the cache. Raises SetupError (`still_mounted`) while something is mounted there."""
    if state.load(home) is not None:
        down(home)
    if left := mounts.mounted_under(home):
        raise SetupError(
            "still_mounted",
            f"still mounted: {', '.join(map(str, left))}",
            "stop what uses it (`sandbox doctor` names it), then run this again; nothing was removed",
        )
    for item in home.iterdir() if home.exists() else ():
        if item.name != "cache" and not (item / "deployment.json").exists():
            shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()
    say(f"· {home} is empty (downloads and builds under cache/ stay)")


def _workspaces(deployment: Deployment) -> None:
    """Say when workspaces will have no hard limit. Raises SetupError (`no_loop_devices`) when the setting insists on one."""
    mode = _kept(deployment, "DATASANDBOX_WORKSPACE", "auto")
    why = "" if mode == "plain" else loop.missing()
    if why and mode == "loop":
        raise SetupError(
            "no_loop_devices",
            f"DATASANDBOX_WORKSPACE=loop, but this machine gives no loop device ({why})",
            "`modprobe loop`, in a container give it /dev and the devices `b 7:* rmw`, `c 10:237 rmw`; or set DATASANDBOX_WORKSPACE=auto",
        )
    if why or mode == "plain":
        say(
            f"  WORKSPACES HAVE NO HARD LIMIT: {why or 'DATASANDBOX_WORKSPACE=plain'}. A sandbox can fill this disk, and the log then stops"
        )


def free(deployment: Deployment) -> None:
    """Raise SetupError (`port_taken`) when someone else listens on the deployment's port."""
    if run([host.docker(), "ps", "-q", "--filter", f"name=^{deployment.project}-proxy$"], advice="run this again").strip():
        return
    bind = _kept(deployment, "DATASANDBOX_BIND", "127.0.0.1")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, deployment.port))
        except OSError as error:
            raise SetupError(
                "port_taken",
                f"port {deployment.port} of {bind} is taken by another program ({error.strerror})",
                f"stop that program (`ss -ltnp 'sport = :{deployment.port}'` names it), or set DATASANDBOX_URL to a free port, such as "
                f"{DEFAULT_URL.rpartition(':')[0]}:{deployment.port + 1}",
            ) from error


def settings(deployment: Deployment) -> Settings:
    """Return the settings the deployment's processes have."""
    return Settings.from_env(variables(deployment))


def variables(deployment: Deployment) -> dict[str, str]:
    """Return what docker-compose.yml is filled in with: names, images, and the tokens of those who can only read an environment."""
    secrets = deployment.home / "secrets"
    return {
        "COMPOSE_PROJECT_NAME": deployment.project,
        "DATASANDBOX_HOME": str(deployment.home),
        "DATASANDBOX_RUN": str(deployment.run),
        "DATASANDBOX_ID": deployment.id,
        "DATASANDBOX_URL": deployment.url,
        "DATASANDBOX_PORT": str(deployment.port),
        "DATASANDBOX_BIND": _kept(deployment, "DATASANDBOX_BIND", "127.0.0.1"),
        "DATASANDBOX_DEMO": "1" if deployment.demo else "0",
        "DATASANDBOX_RUNTIME": runtime(deployment.home),
        "DATASANDBOX_WORKSPACE": _kept(deployment, "DATASANDBOX_WORKSPACE", "auto"),
        "DATASANDBOX_WORKSPACE_BYTES": _kept(deployment, "DATASANDBOX_WORKSPACE_BYTES", str(WORKSPACE_BYTES)),
        "DATASANDBOX_WORKSPACE_INODES": _kept(deployment, "DATASANDBOX_WORKSPACE_INODES", str(WORKSPACE_INODES)),
        "DATASANDBOX_DATABASE_URL": _kept(deployment, "DATASANDBOX_DATABASE_URL", ""),
        "DATASANDBOX_OPA_ACCEPTS_PORTAL": (secrets / "opa/accepts/portal.sha256").read_text(),
        "DATASANDBOX_OPA_ACCEPTS_SESSION": (secrets / "opa/accepts/session.sha256").read_text(),
        "CONFIGPROXY_AUTH_TOKEN": (secrets / "hub/proxy.token").read_text(),
        **{image_variable(name): identity for name, identity in deployment.images.items()},
    }


def runtime(home: Path) -> str:
    """Return the runtime of the deployment's kernel containers, `runc` or `runsc` (ADR 0011). Raises SetupError for another."""
    chosen = _given_once(home, "DATASANDBOX_RUNTIME", "runc")
    if chosen not in RUNTIMES:
        raise SetupError("runtime_unknown", f"DATASANDBOX_RUNTIME is {chosen!r}", f"set it to one of {', '.join(RUNTIMES)}")
    return chosen


def _kept(deployment: Deployment, name: str, default: str) -> str:
    return _given_once(deployment.home, name, default)


def _given_once(home: Path, name: str, default: str) -> str:
    """Return a setting that is given once: the environment's, else that of the last start, else `default`."""
    path = home / "compose.env"
    last = dict(line.partition("=")[::2] for line in path.read_text().splitlines()) if path.exists() else {}
    return os.environ.get(name) or last.get(name) or default


def _environment(deployment: Deployment) -> None:
    path = deployment.home / "compose.env"
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text("".join(f"{key}={value}\n" for key, value in variables(deployment).items()))
    fresh.replace(path)


def _compose(deployment: Deployment, *argv: str) -> None:
    base = ["-p", deployment.project, "--env-file", str(deployment.home / "compose.env"), "-f", str(CHECKOUT / "docker-compose.yml")]
    # what the caller's shell has set must not win over the file
    clean = {key: "" for key in os.environ if key.startswith("COMPOSE_")}
    env = {**clean, **(variables(deployment) if deployment.images else {})}
    run(
        [*tools.compose(), *base, *argv], log=f"compose-{deployment.id}", env=env, advice=f"`docker logs {deployment.project}-…` tells more"
    )


def _remove_containers(deployment: Deployment, wanted: Callable[[dict[str, str]], bool]) -> None:
    """Kill and remove what is wanted of the deployment's containers; others (hub, warden) may be removing the same ones meanwhile."""
    docker = host.docker()
    for attempt in range(REMOVALS):
        listed = run([docker, "ps", "-aq", "--filter", f"label={deployment.label}"], advice="run this again").split()
        seen = subprocess.run([docker, "inspect", *listed], check=False, capture_output=True, text=True).stdout if listed else "[]"
        chosen = [item["Id"] for item in json.loads(seen or "[]") if wanted(item["Config"]["Labels"])]
        if not chosen:
            return
        subprocess.run([docker, "kill", *chosen], check=False, capture_output=True)  # never `stop`: it thaws a frozen sandbox
        removed = subprocess.run([docker, "rm", "-f", "-v", *chosen], check=False, capture_output=True, text=True)
        if removed.returncode == 0:
            return
        time.sleep(attempt)
    raise SetupError("not_removed", f"containers are still there: {removed.stderr.strip()[-400:]}", "run this again")


def _wait(deployment: Deployment, urls: dict[str, str]) -> None:
    end = time.monotonic() + PATIENCE
    for name, url in urls.items():
        argv = [host.docker(), "exec", f"{deployment.project}-portal", "python", "-c", PROBE, url]
        while subprocess.run(argv, check=False, capture_output=True).returncode:
            if time.monotonic() > end:
                raise _unhealthy(deployment, name, f"{name} does not answer at {url}")
            time.sleep(0.3)


def _through_proxy(deployment: Deployment) -> None:
    """Wait until hub and portal answer as a browser would reach them: the hub adds the portal's route only when it has seen it."""
    netloc = urlsplit(deployment.url).netloc
    end = time.monotonic() + PATIENCE
    for name, authority, path in (("hub", netloc, "/hub/health"), ("portal", f"portal.{netloc}", "/services/portal/")):
        while (status := _status(deployment, authority, path)) not in range(200, 404):
            if time.monotonic() > end:
                raise _unhealthy(deployment, name, f"http://{authority}{path} answers {status or 'nothing'} through the proxy")
            time.sleep(0.3)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_named: object) -> None:
        return None


def _status(deployment: Deployment, authority: str, path: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)
    request = urllib.request.Request(
        f"http://{_kept(deployment, 'DATASANDBOX_BIND', '127.0.0.1')}:{deployment.port}{path}", headers={"Host": authority}
    )
    try:
        with opener.open(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _unhealthy(deployment: Deployment, name: str, what: str) -> SetupError:
    said = subprocess.run(
        [host.docker(), "logs", "--tail", "15", f"{deployment.project}-{name}"], check=False, capture_output=True, text=True
    )
    end = "\n".join("    " + line for line in (said.stdout + said.stderr).strip().splitlines()[-15:])
    return SetupError(
        "not_healthy", f"{what} after {PATIENCE} s; its last words:\n{end}", f"`docker logs {deployment.project}-{name}` has all of them"
    )
