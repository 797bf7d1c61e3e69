"""The images, each keyed by the digest of what goes into it: an unchanged one is never built again.

Chain: rootfs (Debian) -> base (+ Python) -> build (+ uv, for building only) and node; `<name>-deps` from a lock; then a thin layer of our code.
No registry of images is needed: where none answers, debootstrap makes the root file system.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import certifi

from sandbox.deploy import host, tools
from sandbox.deploy.steps import CACHE, CHECKOUT, LOCKS, digest, files_under, network, ok, once, run, say
from sandbox.domain.uids import UIDS

IMAGES = CHECKOUT / "images"
RUNNING = ("control", "session", "kernel", "kernel-r", "data", "proxy", "opa")
CAS = Path("/usr/local/share/ca-certificates")
PACKAGE = ("pyproject.toml", "sandbox/__init__.py", "sandbox/settings.py", "sandbox/domain", "audit")
FILL = Callable[[Path], None]
KEPT = 8  # a running deployment starts sandboxes from images that nothing else names
NO_NETWORK = "see that the machine reaches PyPI, npm and a Debian mirror (SSL_CERT_FILE, PIP_INDEX_URL and the proxies are honoured), then run this again"


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its Dockerfile, the images it is built from (as build arguments), and what goes into its context."""

    name: str
    dockerfile: str
    parents: tuple[str, ...] = ()
    fill: FILL = field(default=lambda _context: None)


def copy(*names: str, to: str = "src") -> FILL:
    """Return a fill that copies files or directories of the checkout to the same place under `to`; what is not there yet is left out."""

    def fill(context: Path) -> None:
        for name in names:
            for file in files_under(CHECKOUT / name):
                _place(file, context / to / file.relative_to(CHECKOUT))

    return fill


def _flat(*names: str) -> FILL:
    def fill(context: Path) -> None:
        for name in names:
            _place(CHECKOUT / name, context / Path(name).name)

    return fill


def _lock(name: str) -> FILL:
    return lambda context: _place(LOCKS / f"{name}.txt", context / "lock.txt")


def _place(source: Path, target: Path) -> None:
    """Copy with one of two modes, so that the umask of a checkout changes neither image nor digest."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def _machine(context: Path) -> None:
    """Give a build what this machine needs to reach its mirrors: apt sources and extra CAs."""
    (context / "certificates").mkdir(parents=True)
    (context / "apt" / "sources.list.d").mkdir(parents=True)
    for ca in sorted(CAS.glob("**/*.crt")):
        _place(ca, context / "certificates" / ca.name)
    for source in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        if (
            source.suffix in {".list", ".sources"}
            and source.is_file()
            and "bookworm" in source.read_text()
            and "debian-archive" in source.read_text()
        ):
            _place(source, context / "apt" / source.relative_to("/etc/apt"))
    for conf in Path("/etc/apt/apt.conf.d").glob("*"):
        lines = [line for line in conf.read_text(errors="replace").splitlines() if line.startswith("Acquire::") and "Languages" not in line]
        if lines:
            (context / "apt" / "apt.conf.d").mkdir(exist_ok=True)
            (context / "apt" / "apt.conf.d" / conf.name).write_text("\n".join(lines) + "\n")


def _base(context: Path) -> None:
    _machine(context)
    (context / "passwd").write_text("".join(f"{name}:x:{uid}:{uid}::/tmp:/usr/sbin/nologin\n" for name, uid in UIDS.items()))
    (context / "group").write_text("".join(f"{name}:x:{uid}:\n" for name, uid in UIDS.items()))


def _build(context: Path) -> None:
    _machine(context)
    _place(LOCKS / "build.txt", context / "build.txt")
    shutil.copy(tools.uv(), context / "uv")
    bundle = Path(network().get("SSL_CERT_FILE") or certifi.where())
    (context / "ca-certificates.crt").write_bytes(bundle.read_bytes())


def _control(context: Path) -> None:
    copy("pyproject.toml", "sandbox", "audit")(context)
    copy("hub_config", to=".")(context)
    (context / "hub_config").mkdir(exist_ok=True)
    shutil.rmtree(context / "src/sandbox/deploy", ignore_errors=True)
    shutil.rmtree(context / "src/sandbox/web/static/vendor", ignore_errors=True)


def _session(context: Path) -> None:
    copy(*PACKAGE, "sandbox/guard", "sandbox/adapters")(context)
    (context / "config").mkdir()
    for file in files_under(IMAGES / "session"):
        if file.name != "Dockerfile":
            _place(file, context / "config" / file.relative_to(IMAGES / "session"))


def _kernel(context: Path) -> None:
    (context / "src" / "datasandbox").mkdir(parents=True)
    for file in files_under(IMAGES / "kernel"):
        if not file.name.endswith("Dockerfile") and file.name not in {"matplotlibrc", "seccomp.json", "strip", "r.txt", "fonts.conf"}:
            _place(file, context / "src" / file.relative_to(IMAGES / "kernel"))


def _opa(context: Path) -> None:
    shutil.copy(tools.opa(), context / "opa")
    bundle = context / "bundle"
    bundle.mkdir()
    for file in files_under(CHECKOUT / "policies"):
        if not file.name.endswith("_test.rego") and file.suffix in {".rego", ".json", ".yaml"}:
            _place(file, bundle / file.relative_to(CHECKOUT / "policies"))
    (bundle / ".manifest").write_text(json.dumps({"revision": digest([bundle]), "roots": [""]}))


ALL = {
    image.name: image
    for image in (
        Image("base", "base/Dockerfile", ("rootfs",), _base),
        Image("build", "build/Dockerfile", ("base",), _build),
        Image("node", "node/Dockerfile", ("build",), _flat("images/locks/node.txt")),
        Image("vendor", "vendor/Dockerfile", ("node",), _flat("sandbox/web/package.json", "sandbox/web/package-lock.json")),
        *(Image(f"{name}-deps", "deps/Dockerfile", ("build", "base"), _lock(name)) for name in ("control", "session", "data", "kernel")),
        Image(
            "kernel-fonts", "kernel/fonts.Dockerfile", ("build", "kernel-deps"), _flat("images/kernel/matplotlibrc", "images/kernel/strip")
        ),
        Image("control", "control/Dockerfile", ("build", "control-deps", "vendor"), _control),
        Image("session", "session/Dockerfile", ("build", "session-deps"), _session),
        Image("kernel", "kernel/Dockerfile", ("build", "kernel-fonts"), _kernel),
        Image(
            "kernel-r-deps",
            "kernel/r.Dockerfile",
            ("build", "kernel-fonts"),
            _flat("images/kernel/r.txt", "images/kernel/fonts.conf", "images/kernel/strip"),
        ),
        Image("kernel-r", "kernel/Dockerfile", ("build", "kernel-r-deps"), _kernel),
        Image("data", "data/Dockerfile", ("build", "data-deps"), copy(*PACKAGE, "sandbox/checks")),
        Image("proxy", "proxy/Dockerfile", ("node", "base"), _flat("images/proxy/package.json", "images/proxy/package-lock.json")),
        Image("opa", "opa/Dockerfile", (), _opa),
    )
}
ARGUMENT = {
    "control-deps": "DEPS",
    "session-deps": "DEPS",
    "data-deps": "DEPS",
    "kernel-deps": "DEPS",
    "kernel-fonts": "DEPS",
    "kernel-r-deps": "DEPS",
}


def build(*names: str) -> dict[str, str]:
    """Build what is missing of the images (default: all that run) and return name -> tag."""
    tags: dict[str, str] = {}
    for name in names or RUNNING:
        _ensure(name, tags)
    return {name: tags[name] for name in names or RUNNING}


def identity(tag: str) -> str:
    """Return the `sha256:…` of a local image."""
    return run(
        [host.docker(), "image", "inspect", "--format", "{{.Id}}", tag], advice="run `sandbox setup`, which builds the images"
    ).strip()


def vendor() -> None:
    """Copy the front-end files to where the portal serves them in a checkout."""
    tag = build("vendor")["vendor"]
    target = CHECKOUT / "sandbox" / "web" / "static" / "vendor"

    def work() -> None:
        container = run([host.docker(), "create", tag], advice="run this again").strip()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            run([host.docker(), "cp", f"{container}:/vendor", str(target)], advice="run this again")
        finally:
            run([host.docker(), "rm", container], advice="run this again")

    once("vendor", tag, "copying the front-end files", work, made=target / "htmx.min.js")


def _ensure(name: str, tags: dict[str, str]) -> str:
    if name not in tags:
        tags[name] = _rootfs() if name == "rootfs" else _built(ALL[name], tags)
    return tags[name]


def _built(image: Image, tags: dict[str, str]) -> str:
    parents = {parent: _ensure(parent, tags) for parent in image.parents}
    dockerfile = IMAGES / image.dockerfile
    with tempfile.TemporaryDirectory(prefix="datasandbox-context-") as folder:
        context = Path(folder) / "context"
        context.mkdir()
        image.fill(context)
        tag = f"datasandbox/{image.name}:{digest([dockerfile, context], *(f'{k}={v}' for k, v in sorted(parents.items())))}"
        if ok([host.docker(), "image", "inspect", tag]):
            return tag
        arguments = {ARGUMENT.get(parent, parent.upper()): value for parent, value in parents.items()} | _registries()
        argv = [host.docker(), "build", "--network", "host", "-t", tag, "-f", str(dockerfile), "--label", f"datasandbox.image={image.name}"]
        for key, value in arguments.items():
            argv += ["--build-arg", f"{key}={value}"]
        work = lambda: run([*argv, str(context)], env={"DOCKER_BUILDKIT": "0"}, log=f"image-{image.name}", advice=NO_NETWORK)  # noqa: E731 - a step's body
        once(f"image-{image.name}", tag + " building", f"building image {image.name}", work, made=Path("/nonexistent"))
    _forget_old(image.name, tag)
    return tag


def _registries() -> dict[str, str]:
    """Pass on where this machine gets its packages, if it was told; nothing of it reaches an image that runs."""
    told = {"UV_DEFAULT_INDEX": network().get("UV_DEFAULT_INDEX", ""), "NPM_REGISTRY": os.environ.get("NPM_CONFIG_REGISTRY", "")}
    return {key: value for key, value in told.items() if value}


def _forget_old(name: str, current: str) -> None:
    """Remove all but the newest few images of a name; Docker itself refuses those in use."""
    listed = run([host.docker(), "image", "ls", f"datasandbox/{name}", "--format", "{{.Repository}}:{{.Tag}}"], advice="").split()
    for tag in [tag for tag in listed if tag != current][KEPT - 1 :]:
        with suppress(OSError):
            subprocess.run([host.docker(), "image", "rm", tag], check=False, capture_output=True)


def _rootfs() -> str:
    tag = "datasandbox/rootfs:bookworm"
    if ok([host.docker(), "image", "inspect", tag]):
        return tag
    say("· the base image: asking the registry for debian:bookworm-slim (at most 20 s) …")
    if ok([host.docker(), "pull", "-q", "debian:bookworm-slim"], timeout=20):
        run([host.docker(), "tag", "debian:bookworm-slim", tag], advice="run this again")
        return tag
    host.packages({"debootstrap": "debootstrap"})
    once(
        "rootfs",
        tag,
        "no registry; making the base image with debootstrap (half a minute)",
        lambda: _debootstrap(tag),
        made=Path("/nonexistent"),
    )
    return tag


def _debootstrap(tag: str) -> None:
    mirror = next(
        (word for line in _apt_lines() for word in line.split() if word.startswith(("http://", "https://")) and "security" not in word), ""
    )
    # not in /tmp: many machines mount that noexec or nodev, and debootstrap makes devices
    with tempfile.TemporaryDirectory(prefix="rootfs-", dir=CACHE) as folder:
        argv = [
            host.find("debootstrap") or "debootstrap",
            "--variant=minbase",
            "--include=ca-certificates",
            "bookworm",
            folder,
            *([mirror] if mirror else []),
        ]
        run(argv, log="debootstrap", advice=NO_NETWORK)
        archive = subprocess.Popen(["tar", "-C", folder, "--one-file-system", "--numeric-owner", "-c", "."], stdout=subprocess.PIPE)
        with archive:
            subprocess.run([host.docker(), "import", "-", tag], stdin=archive.stdout, check=True, capture_output=True)


def _apt_lines() -> list[str]:
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    texts = [place.read_text() for place in places if place.suffix in {".list", ".sources"} and place.is_file()]
    return [
        line for text in texts if "debian-archive" in text or "bookworm" in text for line in text.splitlines() if not line.startswith("#")
    ]
