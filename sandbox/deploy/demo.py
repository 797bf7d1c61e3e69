"""`sandbox demo`: the main job in ten steps against the running stack, over its real interfaces only.

A second run reuses bodies, people and datasets and begins a new project; an interrupted run goes on with its own. What is there already
is looked up, never remembered: only the project's id is kept, in `var/demo/run.json`, until the run is done.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sandbox.client import ApiError, Client, Kernel
from sandbox.deploy import compose, demo_data, state
from sandbox.deploy.demo_data import Source
from sandbox.deploy.host import docker
from sandbox.deploy.state import Deployment
from sandbox.deploy.steps import CHECKOUT, SetupError, say
from sandbox.domain.spec import canonical

WAIT_SECONDS = 300
POLL_SECONDS = 0.3


class Failed(Exception):  # noqa: N818 - a step that did not show what it must
    """What the step should have shown, and did not."""


class Demo:
    """One run: its deployment, the people logged in, what the steps have found so far."""

    def __init__(self, deployment: Deployment, sources: list[Source]) -> None:
        self.deployment, self.sources = deployment, sources
        self.folder = deployment.home / "demo"
        self.accounts: dict[str, dict[str, Any]] = {}
        self.people: dict[str, Client] = {}
        self.project = self.application = self.sandbox_id = ""
        self.agreements: list[dict[str, Any]] = []
        self.report: list[dict[str, Any]] = []
        self.stack = contextlib.AsyncExitStack()

    @property
    def mounted(self) -> Source:
        """The dataset that is mounted."""
        return next(source for source in self.sources if source.access == "mounted")

    # The frame

    async def run(self) -> bool:
        """Run all steps, go on after one that fails, leave the report; return whether all were well."""
        steps: list[tuple[str, Callable[[], Coroutine[Any, Any, dict[str, Any]]]]] = [
            ("机构与人员 · bodies and people", self.set_up_people),
            ("登记数据集 · two conditional datasets", self.register_data),
            ("申请、评估、签订协议 · apply, assess, sign", self.agree),
            ("制备发布数据 · releases prepared", self.prepare),
            ("打开沙箱 · open the sandbox", self.open_sandbox),
            ("在沙箱中分析 · analyse", self.analyse),
            ("应当失败的尝试 · attempts that must fail", self.attempts),
            ("导出汇总表 · export an aggregated table", self.export),
            ("审计 · who did what, and the log is whole", self.audit),
            ("撤销 · revoke cuts the live session", self.revoke),
        ]
        async with self.stack:
            for number, (title, act) in enumerate(steps, start=1):
                say(f"[{number:>2}/10] {title}")
                begun = time.monotonic()
                try:
                    ok, evidence = True, await act()
                except (ApiError, Failed, SetupError, OSError, KeyError, ValueError, StopIteration, TimeoutError) as error:
                    code = getattr(error, "code", type(error).__name__)
                    ok, evidence = False, {"error": code, "message": str(error)}
                seconds = round(time.monotonic() - begun, 2)
                self.report.append({"step": number, "title": title, "ok": ok, "seconds": seconds, "evidence": evidence})
                self._write("report.json", self.report)
                for name, value in evidence.items():
                    say(f"        {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
                say(f"        {'✓' if ok else '✗'} {seconds:.1f} s")
        ok = all(step["ok"] for step in self.report)
        if ok:
            (self.folder / "run.json").unlink(missing_ok=True)
        return ok

    def _write(self, name: str, value: Any) -> None:
        """Write a JSON file of the demonstration, readable for its owner only, whole or not at all."""
        fresh = self.folder / f".{name}"
        with open(fresh, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            json.dump(value, file, ensure_ascii=False, indent=1)
        fresh.rename(self.folder / name)

    def _read(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    async def person(self, login: str) -> Client:
        """Return that person's browser, logged in once a run."""
        if login not in self.people:
            client = Client(self.deployment.url, login, self.accounts[login]["password"])
            self.people[login] = await self.stack.enter_async_context(client)
        return self.people[login]

    async def _until(self, look: Callable[[], Coroutine[Any, Any, Any]], done: Callable[[Any], bool], what: str) -> Any:
        """Look until `done`, at most WAIT_SECONDS; Failed otherwise."""
        until = time.monotonic() + WAIT_SECONDS
        while not done(found := await look()):
            if time.monotonic() > until:
                raise Failed(f"{what} was not there after {WAIT_SECONDS} s")
            await asyncio.sleep(POLL_SECONDS)
        return found

    # 1

    async def set_up_people(self) -> dict[str, Any]:
        """Two owner bodies, the authority with its pool of reviewers, eight people; every role asked for by one and confirmed by another."""
        known = self._read("accounts.json").get("accounts", {})
        self.accounts = {
            login: known.get(login) or {"password": secrets.token_urlsafe(18), "name": name, "roles": [role for role, _ in roles]}
            for login, (name, roles) in demo_data.PEOPLE.items()
        }
        self._write("accounts.json", {"url": self.deployment.url, "accounts": self.accounts})
        founded = self._found()
        administrator = await self.person("administrator")
        bodies = {body["code"] for body in (await administrator.get("/bodies"))["items"]}
        for body in demo_data.BODIES:
            if body["code"] not in bodies:
                await administrator.post("/bodies", body)
        persons = {person["login"] for person in (await administrator.get("/persons"))["items"]}
        for login, (name, _) in demo_data.PEOPLE.items():
            if login not in persons:
                account = {"login": login, "name": name, "email": f"{login}@example.org", "password": self.accounts[login]["password"]}
                await administrator.post("/persons", account | {"lang": "zh-CN"})
        held = {(grant["login"], grant["role"], grant["body"]) for grant in await self._grants() if grant["state"] != "ended"}
        for login, (_, roles) in demo_data.PEOPLE.items():
            for role, of in roles:
                if (login, role, of) not in held:
                    await administrator.post("/roles", {"login": login, "role": role, "body": of})
        officer = await self.person("officer")
        confirmed = [grant for grant in await self._grants() if grant["state"] == "requested"]
        for grant in confirmed:
            await officer.post(f"/roles/{grant['id']}/confirm")
        return {
            "bodies": [body["name_zh"] for body in demo_data.BODIES],
            "people": sorted(demo_data.PEOPLE),
            "roles_confirmed_by_officer": len(confirmed),
            "first_accounts": "made" if founded else "there already",
        }

    async def _grants(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await (await self.person("administrator")).get("/roles"))["items"]
        return items

    def _found(self) -> bool:
        """Make the first two accounts in an empty deployment; return whether that was needed."""
        first = [
            {"login": login, "name": demo_data.PEOPLE[login][0], "password": self.accounts[login]["password"], "roles": [login]}
            for login in demo_data.FOUNDERS
        ]
        command = [docker(), "exec", "-i", f"{self.deployment.project}-portal", "python", "-m", "sandbox.web.seed"]
        done = subprocess.run(command, input=json.dumps(first), text=True, capture_output=True, check=False, timeout=60)
        if done.returncode not in {0, 3}:
            raise SetupError("seed_failed", done.stderr.strip()[-400:], "look at the portal: `docker logs`, then run this again")
        return done.returncode == 0

    # 2

    async def register_data(self) -> dict[str, Any]:
        """The steward registers, imports, classifies and publishes each dataset from its real file."""
        steward = await self.person("steward")
        evidence = {}
        for source in self.sources:
            have = {dataset["name"]: dataset for dataset in (await steward.get("/datasets"))["items"]}
            if source.name not in have:
                await steward.post("/datasets", {"name": source.name, "body": source.body} | source.registration)
            versions = have.get(source.name, {}).get("versions", [])
            published = [version for version in versions if version["state"] == "published"]
            version = await (self._version(source, published[-1]["number"]) if published else self._import(source, versions))
            classes: dict[str, list[str]] = {}
            for column in version["columns"]:
                classes.setdefault(column["class"], []).append(column["name"])
            evidence[source.name] = {
                "rows": version["rows"],
                "columns": len(version["columns"]),
                "classes": {name: len(columns) for name, columns in classes.items()},
                "source": source.registration["source"],
                "licence": source.registration["licence"],
            }
        return evidence

    async def _version(self, source: Source, number: int) -> dict[str, Any]:
        found: dict[str, Any] = await (await self.person("steward")).get(f"/datasets/{source.name}/versions/{number}")
        return found

    async def _import(self, source: Source, versions: list[dict[str, Any]]) -> dict[str, Any]:
        """Upload, wait for the data container, take the proposed classes, publish."""
        steward = await self.person("steward")
        pending = [version["number"] for version in versions if version["state"] in {"importing", "imported"}]
        if not pending:
            files = {"file": source.file} | ({"description_file": source.description_file} if source.description_file else {})
            pending = [(await steward.upload(f"/datasets/{source.name}/versions", **files))["number"]]
        number = pending[-1]
        version = await self._until(lambda: self._version(source, number), lambda one: one["state"] != "importing", "the import")
        if version["state"] == "failed":
            raise Failed(f"{source.file.name} was not imported: {json.dumps(version['errors'], ensure_ascii=False)}")
        say(f"        {source.name}: 建议分类（示范，采用建议） · proposed classes, taken as they are for the demonstration")
        for column in version["columns"]:
            say(f"          {column['name']:<18} {column['type']:<10} {column['proposed_class']}")
        classes = [
            {"name": column["name"], "class": column["proposed_class"], "person_key": column["name"] in source.person_keys}
            for column in version["columns"]
        ]
        await steward.put(f"/datasets/{source.name}/versions/{number}/columns", classes)
        await steward.post(f"/datasets/{source.name}/versions/{number}/publish")
        return await self._version(source, number)

    # 3

    async def agree(self) -> dict[str, Any]:
        """Project, application, assessment by each owner body, agreement signed by both sides."""
        researcher, steward = await self.person("researcher"), await self.person("steward")
        await self._project(researcher)
        self.application = await self._apply(researcher)
        application = await researcher.get(f"/applications/{self.application}")
        decided = {assessment["body"] for assessment in application["assessments"] if assessment["decision"] == "approve"}
        for body in sorted({source.body for source in self.sources} - decided):
            ticks = []
            for source in (source for source in self.sources if source.body == body):
                dataset = await steward.get(f"/datasets/{source.name}")
                ticks += [{"condition": item["id"], "ok": True, "evidence": "示范：已核对"} for item in dataset["conditions"]["items"]]
            given = {"decision": "approve", "body": body, "ticks": ticks, "reason": "符合开放条件"}
            await steward.post(f"/applications/{self.application}/assessments", given)
        await self._load_agreements(researcher)
        for agreement in self.agreements:
            signed = {signature["side"] for signature in agreement["signatures"]}
            for side, person in (("owner", steward), ("user", researcher)):
                if side not in signed:
                    await person.post(f"/agreements/{agreement['id']}/sign", {"text_digest": agreement["text_digest"], "side": side})
        await self._load_agreements(researcher)
        return {
            "project": self.project,
            "application": self.application,
            "agreements": [
                {"body": one["body"], "state": one["state"], "access": {item["dataset"]: item["access"] for item in one["items"]}}
                for one in self.agreements
            ],
        }

    async def _project(self, researcher: Client) -> None:
        """Go on with the project of an interrupted run while its access has not been withdrawn; begin a new one otherwise."""
        names = sorted(source.name for source in self.sources)
        kept = self._read("run.json")
        if kept.get("datasets") == names:
            self.project = kept["project"]
            await self._load_agreements(researcher)
            failed = any(release["state"] == "failed" for one in self.agreements for release in one["releases"])
            if not failed and all(one["state"] in {"offered", "active"} for one in self.agreements):
                return
        purpose = "比较各组的准点与费用情况，为公共服务改进提供依据（示范）。"
        made = await researcher.post("/projects", {"title": "示范研究项目", "purpose": purpose})
        self.project = made["id"]
        self._write("run.json", {"project": self.project, "datasets": names})

    async def _apply(self, researcher: Client) -> str:
        mine = [one for one in (await researcher.get("/applications"))["items"] if one["project"] == self.project]
        if not mine:
            items = []
            for source in self.sources:
                versions = (await researcher.get(f"/datasets/{source.name}"))["versions"]
                number = [one["number"] for one in versions if one["state"] == "published"][-1]
                columns = (await researcher.get(f"/datasets/{source.name}/versions/{number}"))["columns"]
                wanted = [column["name"] for column in columns if column["class"] not in source.leave_out]
                items.append({"dataset": source.name, "columns": wanted, "access": source.access})
            form = {
                "project": self.project,
                "purpose": "按组比较，研究公共服务改进（示范）。",
                "scenario": "在数据沙箱中统计分析，只带走汇总表。",
                "security_measures": "仅限项目成员使用；不尝试识别个人；结果经两人审核后导出。",
                "period_days": 90,
                "items": items,
            }
            mine = [await researcher.post("/applications", form)]
        if mine[0]["state"] in {"draft", "changes_requested"}:
            await researcher.post(f"/applications/{mine[0]['id']}/submit")
        return str(mine[0]["id"])

    async def _load_agreements(self, person: Client) -> None:
        self.agreements = [one for one in (await person.get("/agreements"))["items"] if one["project"] == self.project]

    # 4

    async def prepare(self) -> dict[str, Any]:
        """Releases are made in data containers after the last signature."""
        researcher = await self.person("researcher")

        async def releases() -> list[dict[str, Any]]:
            await self._load_agreements(researcher)
            return [release for one in self.agreements for release in one["releases"]]

        found = await self._until(
            releases, lambda all_: len(all_) >= len(self.sources) and all(one["state"] != "preparing" for one in all_), "the releases"
        )
        if bad := [one for one in found if one["state"] != "ready"]:
            raise Failed(f"not prepared: {json.dumps(bad, ensure_ascii=False)}")
        return {one["dataset"]: {"rows": one["rows"], "bytes": one["bytes"], "sha256": one["digest"]} for one in found}

    # 5

    async def open_sandbox(self) -> dict[str, Any]:
        """Open the sandbox; the queried dataset is not mounted and says so."""
        sandbox = await (await self.person("researcher")).open(self.project)
        self.sandbox_id = sandbox["id"]
        queried = [source.name for source in self.sources if source.access == "queried"]
        if sorted(sandbox["queried_not_available"]) != queried:
            raise Failed(f"the page says {sandbox['queried_not_available']}, expected {queried}")
        return {"sandbox": sandbox["id"], "url": sandbox["url"], "queried_not_available": sandbox["queried_not_available"]}

    # 6

    async def cell(self, code: str) -> dict[str, Any]:
        """Run a cell as the researcher; return the JSON of its last line, Failed with its error."""
        printed, shown = "", 0
        async for event in (await self.person("researcher")).run(code):
            printed += event.text if event.kind == "stream" else ""
            shown += event.kind in {"display", "result"} and "image/png" in (event.content.get("data") or {})
            if event.kind == "error":
                raise Failed(event.text[-800:])
        lines = [line for line in printed.splitlines() if line.startswith("{")]
        if not lines:
            raise Failed(f"the cell printed no answer: {printed[-300:]!r}")
        found: dict[str, Any] = json.loads(lines[-1])
        return found | ({"plots": shown} if shown else {})

    async def analyse(self) -> dict[str, Any]:
        """ds.sql, ds.load, pandas and a plot with Chinese labels; then the record of that very cell."""
        code = demo_data.ANALYSE.format(name=self.mounted.name)
        start = await self._head()
        found = await self.cell(code)
        if found["rows"] != found["loaded"] or not found.get("plots"):
            raise Failed(f"the analysis is not whole: {found}")
        digest = await self._recorded_text(start, code)
        return found | {"recorded_cell": digest}

    async def _head(self) -> int:
        return int((await (await self.person("auditor")).get("/audit/head"))["size"])

    async def _entries(self, start: int, query: str) -> list[dict[str, Any]]:
        auditor = await self.person("auditor")
        found: list[dict[str, Any]] = []
        at: int | None = start
        while at is not None:
            page = await auditor.get(f"/audit/entries?start={at}&count=500&{query}")
            found += page["entries"]
            at = page.get("next")
        return found

    async def _recorded_text(self, start: int, code: str) -> dict[str, Any]:
        """Return the entry whose text is `code`; Failed when the record lacks it."""
        auditor = await self.person("auditor")
        for entry in await self._entries(start, f"sandbox={self.sandbox_id}"):
            if entry["leaf"]["blobs"]:
                whole = await auditor.get(f"/audit/entries/{entry['index']}")
                if any((one.get("text") or "").strip() == code.strip() for one in whole["texts"]):
                    return {"index": entry["index"], "kind": entry["leaf"]["kind"], "time": entry["leaf"]["time"]}
        raise Failed("the log has no entry with the text of the cell that ran")

    # 7

    async def attempts(self) -> dict[str, Any]:
        """Each attempt must fail, with its reason and its record."""
        name = self.mounted.name
        acts: dict[str, tuple[Callable[[], Coroutine[Any, Any, str]], str]] = {
            "reach a listener on this host": (self._reach_host, f"sandbox={self.sandbox_id}"),
            "write to /data": (lambda: self._all_refused(demo_data.WRITE_DATA.format(name=name), "written"), f"sandbox={self.sandbox_id}"),
            "download by /files/": (lambda: self._http_refused("GET", "files/groups.csv"), f"sandbox={self.sandbox_id}"),
            "open a terminal": (lambda: self._http_refused("POST", "api/terminals"), f"sandbox={self.sandbox_id}"),
            "another researcher opens this sandbox": (self._stranger, "login=researcher2"),
            "export raw rows": (lambda: self._export_raw(name), f"sandbox={self.sandbox_id}"),
        }
        evidence: dict[str, Any] = {}
        wrong: list[str] = []
        for title, (act, query) in acts.items():
            start = await self._head()
            try:
                reason = await act()
            except (Failed, ApiError) as error:
                evidence[title] = {"failed_to_refuse": str(error)}
                wrong.append(title)
                continue
            entries = await self._entries(start, query)
            if query.startswith("login="):  # a stranger's own log-in is no record of the refusal
                entries = [one for one in entries if one["leaf"]["kind"].endswith((".refused", ".denied"))]
            records = [{"index": one["index"], "kind": one["leaf"]["kind"]} for one in entries]
            evidence[title] = {"reason": reason, "record": records[-3:]}
            if not records:
                wrong.append(f"{title} (no record)")
        if wrong:
            raise Failed(f"not as it must be: {', '.join(wrong)}; {json.dumps(evidence, ensure_ascii=False)}")
        return evidence

    async def _all_refused(self, code: str, bad: str) -> str:
        tried = await self.cell(code)
        if any(said == bad for said in tried.values()):
            raise Failed(json.dumps(tried))
        return json.dumps(tried, ensure_ascii=False)

    async def _reach_host(self) -> str:
        """Try every address of this machine from the kernel; a connection from here shows that the listener does answer."""
        reached = 0

        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal reached
            reached += 1
            writer.close()

        server = await asyncio.start_server(answer, "0.0.0.0", 0)  # noqa: S104 - every address of this machine is what is tried
        async with server:
            port = server.sockets[0].getsockname()[1]
            addresses = own_addresses()
            _, writer = await asyncio.open_connection(addresses[0], port)
            writer.close()
            await asyncio.sleep(0)
            tried = await self._all_refused(demo_data.REACH_HOST.format(addresses=addresses, port=port), "reached")
        if reached != 1:
            raise Failed(f"the listener got {reached} connections, one (our own) was expected")
        return tried

    async def _http_refused(self, method: str, path: str) -> str:
        try:
            await (await self.person("researcher")).jupyter(method, path, {} if method == "POST" else None)
        except ApiError as error:
            if error.status in {403, 404, 405}:
                return f"HTTP {error.status} {error.message}".strip()
            raise
        raise Failed(f"{method} {path} was answered")

    async def _stranger(self) -> str:
        researcher, stranger = await self.person("researcher"), await self.person("researcher2")
        if researcher.sandbox is None:
            raise Failed("there is no open sandbox to try")
        said = []
        try:
            await stranger.get(f"/sandboxes/{self.sandbox_id}")
        except ApiError as error:
            said.append(f"{error.status} {error.code}")
        else:
            raise Failed("the portal shows another person's sandbox")
        try:
            await stranger.enter(researcher.sandbox)
        except ApiError as error:
            said.append(f"HTTP {error.status}")
        else:
            raise Failed("another person entered the sandbox")
        with contextlib.suppress(ApiError):
            await stranger.post(f"/projects/{self.project}/sandbox/open")
            raise Failed("another person opened a sandbox of the project")
        return ", ".join(said)

    async def _export_raw(self, name: str) -> str:
        # In a visitor's columns of few values no row may stand out: there the missing count is what denies.
        found = await self.cell(demo_data.EXPORT_RAW.format(name=name, forge=name == "flights"))
        if found["state"] not in {"denied", "refused"}:
            raise Failed(f"raw rows were not denied: {found}")
        return f"{found['state']}: {', '.join(found['codes'])}"

    # 8

    async def export(self) -> dict[str, Any]:
        """Checks, two independent reviewers who do not see each other's vote, release, one download, a certificate that verifies."""
        title = f"分组汇总 {secrets.token_hex(3)}"
        found = await self.cell(demo_data.EXPORT_TABLE.format(title=title))
        if found["state"] != "in_review":
            raise Failed(f"the table did not reach review: {found}")
        path = f"/exports/{found['export']}"
        researcher = await self.person("researcher")
        own = await self._refused(researcher.post(f"{path}/reviews", {"verdict": "approve", "comment": ""}))
        first, second = await self.person("reviewer1"), await self.person("reviewer2")
        await first.post(f"{path}/reviews", {"verdict": "approve", "comment": "已核对计数"})
        again = await self._refused(first.post(f"{path}/reviews", {"verdict": "approve", "comment": ""}))
        if (await second.get(path))["reviews"]:
            raise Failed("the second reviewer sees the first vote")
        early = await self._refused(researcher.post(f"{path}/release"))
        await second.post(f"{path}/reviews", {"verdict": "approve", "comment": "同意"})
        await researcher.post(f"{path}/release")
        export = await researcher.get(path)
        content = await researcher.download(f"{path}/download")
        if hashlib.sha256(content).hexdigest() != export["files"][0]["sha256"]:
            raise Failed("the download is not the file that was reviewed")
        twice = await self._refused(researcher.download(f"{path}/download"))
        signed = json.loads(await researcher.download(f"{path}/certificate"))
        Ed25519PublicKey.from_public_bytes(b64decode(signed["public_key"])).verify(
            b64decode(signed["signature"]), canonical(signed["certificate"])
        )
        return {
            "export": found["export"],
            "findings": found["findings"],
            "author_as_reviewer": own,
            "second_vote": again,
            "release_before_all_votes": early,
            "reviewers": signed["certificate"]["reviewers"],
            "downloaded_bytes": len(content),
            "second_download": twice,
            "certificate": "verifies",
        }

    @staticmethod
    async def _refused(act: Coroutine[Any, Any, Any]) -> str:
        """Return the code with which an act was refused; Failed when it was not."""
        try:
            await act
        except ApiError as error:
            return error.code
        raise Failed("what must be refused was not")

    # 9

    async def audit(self) -> dict[str, Any]:
        """The auditor reads the case in order; verify proves the log whole, and names the entry after one byte is changed in a copy."""
        kinds = [entry["leaf"]["kind"] for entry in await self._entries(0, f"project={self.project}")]
        sandbox = [entry["leaf"]["kind"] for entry in await self._entries(0, f"sandbox={self.sandbox_id}")]
        for wanted in ("application.submitted", "export.created", "export.released", "export.downloaded"):
            if wanted not in kinds:
                raise Failed(f"the record has no {wanted}: {sorted(set(kinds))}")
        original = self.deployment.home / "audit"
        copy = self.folder / "audit-copy"
        shutil.rmtree(copy, ignore_errors=True)
        try:
            shutil.copytree(original, copy)
            whole = verify(copy, original / "log.vkey")
            where = spoil(copy / "wal")
            broken = verify(copy, original / "log.vkey")
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        if whole.returncode != 0 or broken.returncode == 0:
            raise Failed(f"verify said: {whole.stdout}{whole.stderr} / {broken.stdout}{broken.stderr}")
        return {
            "case": list(dict.fromkeys(kinds)),
            "entries_of_sandbox": len(sandbox),
            "verify": whole.stdout.strip().splitlines()[-1],
            "byte_changed_at": where,
            "verify_of_changed_copy": broken.stderr.strip().splitlines()[0],
        }

    # 10

    async def revoke(self) -> dict[str, Any]:
        """Revoke while a cell talks: time from the request to the last byte of the open WebSocket; then nothing opens any more."""
        researcher, administrator = await self.person("researcher"), await self.person("administrator")
        agreement = next(one for one in self.agreements if any(item["access"] == "mounted" for item in one["items"]))
        async with self._talking(researcher) as kernel:
            begun = time.monotonic()
            await administrator.post(f"/agreements/{agreement['id']}/revoke", {"ground": "示范", "reason": "示范：撤销后立即切断"})
            answered = time.monotonic()
            last = await asyncio.wait_for(kernel.wait_closed(), 60)
        after = await self._until(
            # a request that meets the session as it is killed has no answer: the next one has
            lambda: self._refused(researcher.jupyter("GET", "api/kernels")),
            lambda code: code != "disconnected",
            "an answer after the cut",
        )
        state_ = await self._until(
            lambda: administrator.get(f"/sandboxes/{self.sandbox_id}"), lambda one: one["state"] == "cut", "the state 'cut'"
        )
        for other in self.agreements:  # with the other agreement in force a new sandbox, without that data, might open
            if other["id"] != agreement["id"]:
                await administrator.post(f"/agreements/{other['id']}/revoke", {"ground": "示范", "reason": "示范：全部撤销"})
        start = await self._refused(researcher.open(self.project))
        return {
            "request_to_last_byte_ms": round(max(last - begun, 0) * 1000),
            "request_answered_ms": round((answered - begun) * 1000),
            "sandbox": state_["state"],
            "next_request": after,
            "new_start": start,
        }

    @contextlib.asynccontextmanager
    async def _talking(self, researcher: Client) -> AsyncIterator[Kernel]:
        """Give a kernel's socket on which a cell prints without end."""
        heard = asyncio.Event()

        async def listen(kernel: Kernel) -> None:
            with contextlib.suppress(ApiError):
                async for _ in kernel.run(demo_data.TALK):
                    heard.set()

        async with await researcher.kernel() as kernel:
            listening = asyncio.create_task(listen(kernel))
            try:
                await asyncio.wait_for(heard.wait(), 60)
                yield kernel
            finally:
                listening.cancel()


def own_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine, loopback first, as the kernel's table has them (a bare machine has no `ip`)."""
    table = Path("/proc/net/fib_trie").read_text()
    found = set(re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", table))
    return sorted(found, key=lambda address: (not address.startswith("127."), address))


def verify(directory: Path, vkey: Path) -> subprocess.CompletedProcess[str]:
    """Run `audit verify`."""
    command = [str(Path(sys.executable).parent / "audit"), "verify", str(directory), "--vkey", str(vkey)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def spoil(wal: Path) -> int:
    """Change one byte of recorded text in the middle of the log (a copy of it); return where."""
    content = wal.read_bytes()
    place = content.index(b'"kind":"', len(content) // 2) + len(b'"kind":"')
    with wal.open("r+b") as file:
        file.seek(place)
        file.write(bytes([content[place] ^ 1]))
    return place


def run_demo(home: Path, *, url: str = "", data: str | None = None, up: bool = True) -> bool:
    """Start the stack in demonstration mode if asked, run the ten steps, say where things are; return whether all were well."""
    begun = float(os.environ.get("DATASANDBOX_BEGAN") or time.time())  # make's own start: making the venv counts
    first = state.load(home) is None
    deployment = compose.up(home, url=url, demo=True) if up else state.load(home)
    if deployment is None or not deployment.demo:
        raise SetupError("no_demo_deployment", f"{home} holds no deployment in demonstration mode", "run `make demo`")
    sources = [demo_data.visitor(Path(data)) if data else demo_data.flights(), demo_data.randhie()]
    demo = Demo(deployment, sources)
    demo.folder.mkdir(mode=0o700, exist_ok=True)
    ok = asyncio.run(demo.run())
    failed = [str(step["step"]) for step in demo.report if not step["ok"]]
    seconds = round(time.time() - begun, 1)
    demo._write("took.json", {"seconds": seconds, "first": first, "ok": ok, "up": up})  # noqa: SLF001 - its folder is written in one way
    say(f"{'十步全部通过 · all ten steps done' if ok else '未通过的步骤 · failed steps: ' + ', '.join(failed)}，{seconds:.0f} s")
    say(f"地址 · address: {deployment.url}")
    say(f"账户 · accounts: {demo.folder / 'accounts.json'}    报告 · report: {demo.folder / 'report.json'}")
    return ok


@click.command("demo")
@click.option("--home", type=click.Path(path_type=Path), envvar="DATASANDBOX_HOME", default=CHECKOUT / "var", help="State directory.")
@click.option("--url", envvar="DATASANDBOX_URL", default="", help="Public address; must end in .localhost.")
@click.option("--data", default=None, help="Your own UTF-8 CSV instead of the flights.")
@click.option("--up/--no-up", default=True, help="Start the stack first.")
def main(home: Path, url: str, data: str | None, up: bool) -> None:
    """Run the scenario against the running stack; exit 1 if a step fails."""
    sys.exit(0 if run_demo(home.absolute(), url=url, data=data or None, up=up) else 1)
