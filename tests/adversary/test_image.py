"""K1 and the tools of an intruder: what the real kernel image has in it, and that the list can find something."""

import json
import subprocess

import pytest

from sandbox.deploy import images

pytestmark = pytest.mark.docker

# fetch tools, package managers, compilers, debuggers, remote shells, mount and account programs, other interpreters
UNWANTED = """curl wget git ssh scp sftp ftp nc ncat netcat socat telnet rsync openssl busybox apt apt-get dpkg pip pip3 uv conda npm node
gcc g++ cc c++ clang ld as make cmake go rustc gdb strace ltrace perl ruby lua php mount umount nsenter unshare chroot setpriv su sudo
runuser newgrp passwd chsh chfn gpasswd login losetup mknod insmod modprobe ip ifconfig nmap docker runc tcpdump"""
LOOK = """
import json, os, stat, sys
found = {"special": [], "unwanted": [], "writable": []}
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev", "/tmp")]
    for name in files:
        path = os.path.join(folder, name)
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode):
            if mode & 0o6000 or "security.capability" in os.listxattr(path): found["special"].append(path)
            if mode & 0o002: found["writable"].append(path)
        if name in sys.argv[1:] and os.access(path, os.X_OK) and not stat.S_ISDIR(os.stat(path).st_mode): found["unwanted"].append(path)
print(json.dumps(found))
"""


def look(image: str) -> dict[str, list[str]]:
    """Look through every file of an image, as root."""
    command = [
        "docker",
        "run",
        "--rm",
        "-i",
        "--network",
        "none",
        "--user",
        "0:0",
        "--entrypoint",
        "python3",
        image,
        "-",
        *UNWANTED.split(),
    ]
    return json.loads(subprocess.run(command, input=LOOK, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("name", ["kernel", "kernel-r"])
def test_k1_no_setuid_file_no_capability_on_a_file_and_no_tool_of_an_intruder(name):
    assert look(images.build(name)[name]) == {"special": [], "unwanted": [], "writable": []}


def test_k1_twin_the_image_it_is_made_from_has_them(stage):
    base = stage.docker.images.list("datasandbox/rootfs") + stage.docker.images.list("datasandbox/build")
    name = f"dev-cont-twin-{stage.id}"
    dockerfile = f"FROM {base[-1].id}\nRUN cp /bin/true /usr/bin/twin && chmod 4755 /usr/bin/twin && chmod o+w /etc/hostname || true\n"
    subprocess.run(["docker", "build", "-q", "-t", name, "-"], input=dockerfile, text=True, check=True, capture_output=True)
    try:
        found = look(name)
    finally:
        subprocess.run(["docker", "rmi", name], check=True, capture_output=True)
    assert "/usr/bin/twin" in found["special"]
    assert {"/usr/bin/perl", "/usr/bin/apt-get", "/usr/bin/dpkg"} <= set(found["unwanted"])


def test_every_image_that_runs_is_named_by_its_digest(stage):
    spec = stage.spec(image="datasandbox/kernel:latest")
    with pytest.raises(Exception, match="spec_invalid"):
        stage.launch(spec)
