"""A person at a browser, and what is asked of every page they see: no error in the console, every control has a name, no cut text."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, BrowserContext, Page, expect

if TYPE_CHECKING:
    from conftest import Stack

SECONDS = 1000  # playwright counts milliseconds
# What the browser itself says of an answer we mean to give: a refusal, a server that was cut.
EXPECTED = re.compile(r"Failed to load resource|WebSocket connection to|ERR_|net::")
# JupyterLab says a lot when it is refused or cut; there the content policy and our own script count.
OURS = re.compile(r"Content.Security.Policy|sandbox/script\.js")
NAMELESS = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a[href]')]
  .filter(e => e.offsetParent !== null)
  .filter(e => !(e.labels?.length && [...e.labels].some(l => l.textContent.trim())) && !e.getAttribute('aria-label')
    && !(e.matches('button, a') && e.textContent.trim()))
  .map(e => e.outerHTML.slice(0, 160))"""


class Person:
    """One account in a browser of its own."""

    def __init__(self, desk: "Desk", login: str, password: str) -> None:
        self.desk, self.login, self._password = desk, login, password
        self.context: BrowserContext = desk.browser.new_context(
            locale="zh-CN", timezone_id="Asia/Shanghai", viewport={"width": 1360, "height": 900}, accept_downloads=True
        )
        self.context.set_default_timeout(30 * SECONDS)
        self.context.on("page", self._watch)
        self.page = self.context.new_page()

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self._complained(page, str(error)))
        page.on("console", lambda said: self._complained(page, said.text) if said.type == "error" else None)

    def _complained(self, page: Page, text: str) -> None:
        counts = not EXPECTED.search(text) if "/user/" not in page.url else OURS.search(text)
        if counts:
            self.desk.complaints.append(f"{self.login}: {text}")

    def log_in(self) -> Page:
        """Go to the portal, be sent to the hub's form, come back."""
        self.page.goto(f"{self.desk.portal}/")
        self.page.get_by_label("账号").fill(self.login)
        self.page.get_by_label("密码").fill(self._password)
        self.page.get_by_role("button", name="登录").click()
        expect(self.page.get_by_role("heading", name="待办")).to_be_visible()
        return self.page

    def go(self, item: str) -> Page:
        """Follow a link of the bar at the top."""
        self.page.get_by_role("navigation", name="主导航").get_by_role("link", name=item, exact=True).click()
        return self.page

    def shot(self, name: str, page: Page | None = None, *, full: bool = True) -> None:
        """Look at the page: keep a picture, and hold it against what is asked of all pages of the portal."""
        page = page or self.page
        page.screenshot(path=self.desk.folder / f"{len(self.desk.shots) + 1:02}-{self.login}-{name}.png", full_page=full)
        self.desk.shots.append(name)
        if "/services/portal/" in page.url:
            nameless = page.evaluate(NAMELESS)
            assert not nameless, f"{page.url}: controls without a name: {nameless}"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{page.url} is wider than the window"

    def until(self, there: Callable[[Page], bool], seconds: int = 60) -> Page:
        """Reload the page, as a person would, until `there`."""
        for _ in range(seconds * 2):
            if there(self.page):
                return self.page
            self.page.wait_for_timeout(500)
            self.page.reload()
        raise AssertionError(f"{self.page.url}: did not come within {seconds} s")


class Desk:
    """All people of a test."""

    def __init__(self, browser: Browser, stack: "Stack", folder: Path) -> None:
        self.browser, self.stack, self.folder = browser, stack, folder
        self.portal = stack.settings.portal_url.rstrip("/")
        self.complaints: list[str] = []
        self.shots: list[str] = []
        self._people: dict[str, Person] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.png"):
            old.unlink()

    def person(self, login: str) -> Person:
        """Return that person, logged in."""
        if login not in self._people:
            self._people[login] = Person(self, login, self.stack.accounts[login]["password"])
            self._people[login].log_in()
        return self._people[login]

    def close(self) -> None:
        """Keep the last picture of everyone and close."""
        for person in self._people.values():
            for number, page in enumerate(person.context.pages):
                page.screenshot(path=self.folder / f"last-{person.login}-{number}.png")
            person.context.close()
