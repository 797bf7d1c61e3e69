"""`sandbox prove` can say breached, for each family; and what was not made is never held."""

import json

import pytest
from aiohttp import web
from yarl import URL

from sandbox.prove import inside
from sandbox.prove.catalogue import NOT_TRIED, TITLES
from sandbox.prove.command import complete
from sandbox.prove.page import page
from sandbox.prove.verdicts import BREACHED, HELD, NOT_APPLICABLE, Verdict, breached, document, judge
from sandbox.prove.web import Ask, Browser, judged

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("number", ["N1", "F1", "K1"])
def test_n_f_k_a_probe_that_got_in_is_a_breach(number):
    refused = {"id": number, "what": "one", "outcome": "refused", "errno": "EPERM"}
    got_in = {"id": number, "what": "two", "outcome": "breached", "errno": ""}
    assert judge(number, "", "runc", [refused]).verdict == HELD
    assert judge(number, "", "runc", [refused, got_in]).verdict == BREACHED
    assert judge(number, "", "runsc", [refused, got_in]).verdict == BREACHED
    assert judge(number, "", "runc", []).verdict == NOT_APPLICABLE


def test_what_gvisor_answers_itself_is_a_breach_under_runc():
    found = {"id": "K5", "what": "keyctl", "outcome": "breached", "errno": ""}
    assert [judge("K5", "", name, [found]).verdict for name in ("runc", "runsc")] == [BREACHED, HELD]


def test_d_no_limit_is_a_breach():
    assert inside.within({"made": 254, "why": "Resource temporarily unavailable"}, 256, "processes")[0] == HELD
    assert inside.within({"made": 2000, "why": ""}, 256, "processes")[0] == BREACHED
    assert inside.shown(4 << 20, 42)[0] == BREACHED
    assert inside.filled(1000, 1 << 26)[0] == BREACHED


class Doctored:
    """A person in a session that answers everything: the guard switched off."""

    def __init__(self, http, url: str) -> None:
        self.http, self.url, self.login, self.sandbox = http, url, "researcher", {"url": f"{url}/user/researcher/a/"}

    def _sandbox_headers(self, url: str) -> dict[str, str]:
        return {"Origin": str(URL(url).origin())}


@pytest.fixture
async def browser(aiohttp_server_url):
    import aiohttp  # noqa: PLC0415

    async with aiohttp.ClientSession() as http:
        person = Doctored(http, aiohttp_server_url)
        yield Browser(person, person)


@pytest.fixture
async def aiohttp_server_url():
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"path": request.path})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize("number", ["W1", "W2", "W3", "W4", "W5", "W6", "X1", "X2", "X3", "X5"])
async def test_w_x_a_session_that_answers_is_a_breach(browser, number):
    word, evidence = await browser.attacks()[number]()
    assert word == BREACHED, evidence
    assert "HTTP 200" in evidence


async def test_a_path_is_sent_as_it_stands(browser):
    assert await browser.status(Ask("GET", "files%2Fa;b=c/..%2Fd")) == 200


def test_a_servers_fault_proves_nothing():
    assert judged([("GET a", 403), ("GET b", 500)])[0] == NOT_APPLICABLE
    assert judged([])[0] == NOT_APPLICABLE


def test_every_id_has_a_verdict_and_what_was_not_made_is_not_held():
    whole = complete([Verdict("N1", "", "runc", HELD, "ECONNREFUSED")], "runc")
    assert [one.id for one in whole] == list(TITLES)
    assert {one.verdict for one in whole if one.id != "N1"} == {NOT_APPLICABLE}
    assert all(one.evidence for one in whole)
    assert set(NOT_TRIED) <= set(TITLES)


def test_json_and_page_say_the_same_and_show_foreign_text_as_text():
    verdicts = [Verdict("W1", "终端", "runsc", BREACHED, "<script>alert(1)</script>")]
    assert breached(verdicts)
    assert json.loads(json.dumps(document(verdicts)))[0].keys() >= {"id", "runtime", "verdict", "evidence"}
    text = page(verdicts, {"部署 deployment": "a<b"})
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "http" not in text.replace("HTTP", "").split("<table>")[0]
