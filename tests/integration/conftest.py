"""A project with its agreements in force, made once for each module."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]


@pytest.fixture(scope="module")
def live(stack):
    from live import Live  # noqa: PLC0415 - unit tests need none of it

    made = Live.made(stack)
    made.close()  # a person has three sandboxes at most, and earlier tests may have left theirs
    yield made
    made.close()
