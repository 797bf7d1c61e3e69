"""A browser on the running stack: one window a person, in Chinese, with what the console complained about."""

import asyncio
from collections.abc import Iterator

import pytest
from people import Desk
from playwright.sync_api import Browser, sync_playwright
from stack_world import close_sandboxes, seed

from sandbox.deploy.steps import CACHE

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),  # root in a container
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),  # it calls nobody
]


@pytest.fixture(scope="session")
def seeded(stack):
    """The stack with people and datasets, and nothing open."""
    asyncio.run(seed(stack))
    asyncio.run(close_sandboxes(stack))
    return stack


@pytest.fixture  # playwright keeps an event loop running in this thread as long as it is open: gone before the next test
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def desk(seeded, browser: Browser) -> Iterator[Desk]:
    """People at their browsers; pictures of their pages stay in var/cache/screenshots (the state of a test run is removed at its end)."""
    desk = Desk(browser, seeded, CACHE / "screenshots")
    try:
        yield desk
    finally:
        desk.close()
