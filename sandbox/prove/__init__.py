"""`sandbox prove`: the attacks of the threat model against a live deployment; the same attacks that tests/adversary makes."""

from pathlib import Path

PROBE = Path(__file__).with_name("probe.py")  # runs in the container, never here
