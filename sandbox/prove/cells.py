"""Attacks that are cells: each prints one JSON line. Their limits are what the container must hold, so each stops by itself."""

import json

PROBE_CELL = """
import json, subprocess, sys
done = subprocess.run([sys.executable, "-c", {code}, {here}], capture_output=True, text=True)
print(json.dumps({{"out": done.stdout, "error": done.stderr[-400:], "code": done.returncode}}))
"""

WHERE = """
import json, os, platform
print(json.dumps({"data": sorted(os.listdir("/data")), "home": os.path.expanduser("~"), "release": platform.release()}))
"""

# D10: how many entries, how many bytes /sock takes; everything is removed again
FILL_SOCK = """
import os, json
made = 0
try:
    while made < 1000:
        open(f"/sock/d10-{made}", "w").close(); made += 1
except OSError: pass
for n in range(made): os.unlink(f"/sock/d10-{n}")
size = 0
try:
    with open("/sock/big", "wb", buffering=0) as f:
        while size < 1 << 26: size += f.write(b"x" * 65536)
except OSError: pass
os.unlink("/sock/big")
print(json.dumps([made, size]))
"""

# F9: a socket, and a link to it in its place
LINK_SOCK = "import os,socket;s=socket.socket(1);s.bind('/sock/mine');os.symlink('mine','/sock/link');os.chmod('/sock/mine',0o777)"
UNLINK_SOCK = "import os;os.unlink('/sock/mine');os.unlink('/sock/link')"

# D1: children that only wait, until no more can be made
FORKS = """
import json, os, signal, time
children = []
why = ""
try:
    while len(children) < 2000:
        child = os.fork()
        if child == 0:
            time.sleep(60); os._exit(0)
        children.append(child)
except OSError as error:
    why = error.strerror
for child in children: os.kill(child, signal.SIGKILL)
for child in children: os.waitpid(child, 0)
print(json.dumps({"made": len(children), "why": why}))
"""

# D5
DESCRIPTORS = """
import json, os
held, why = [], ""
try:
    while len(held) < 200000: held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    why = error.strerror
for one in held: os.close(one)
print(json.dumps({"made": len(held), "why": why}))
"""

FLOOD_BYTES = 4 << 20
FLOOD = f"print('x' * 1024 * 1024 * {FLOOD_BYTES >> 20})"


def probe(code: str, here: dict[str, object]) -> str:
    """Return the cell that runs the probe in a process of its own."""
    return PROBE_CELL.format(code=json.dumps(code), here=json.dumps(json.dumps(here)))
