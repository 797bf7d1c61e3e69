"""A release holds what was approved and nothing else."""

import json
import secrets
import shutil
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sandbox.checks.engine import sha256
from sandbox.checks.preparing import pseudonym, row_filter
from sandbox.domain.errors import Refusal

from .conftest import Task

KEY = secrets.token_bytes(32)
COLUMNS = [{"name": "zper", "class": "identifier"}, {"name": "plan", "class": "conditional"}, {"name": "income", "class": "personal"}]


def prepare(task: Task, source: Path, key: bytes = KEY, **job: Any) -> dict[str, Any]:
    shutil.copy(source / "data.parquet", task.paths.inputs / "source")
    (task.paths.job / "secret").write_bytes(key)
    return task.run(
        "prepare",
        {"dataset": "randhie", "version": 1, "agreement": "g", "release": "r", "created": "t", "columns": COLUMNS, "rows": []} | job,
    )


def test_persons_get_one_pseudonym_each_and_the_rest_is_kept(task: Task, randhie: Path) -> None:
    result = prepare(task, randhie)
    source, release = pq.read_table(randhie / "data.parquet"), pq.read_table(task.paths.out / "data.parquet")
    assert release.column_names == ["zper", "plan", "income"]
    assert release.num_rows == result["result"]["rows"] == 20_190
    assert pc.count_distinct(release["zper"]).as_py() == 5912
    assert sorted(release["income"].to_pylist(), key=str) == sorted(source["income"].to_pylist(), key=str)
    expected = sorted(
        (pseudonym(KEY, "zper", str(person)), income)
        for person, income in zip(source["zper"].to_pylist(), source["income"].to_pylist(), strict=True)
    )
    assert sorted(zip(release["zper"].to_pylist(), release["income"].to_pylist(), strict=True)) == expected


def test_the_order_of_the_source_is_gone(task: Task, randhie: Path) -> None:
    prepare(task, randhie)
    source, release = pq.read_table(randhie / "data.parquet"), pq.read_table(task.paths.out / "data.parquet")
    same = sum(one == two for one, two in zip(source["income"].to_pylist(), release["income"].to_pylist(), strict=True))
    assert same < 400


def test_another_agreement_has_unrelated_pseudonyms() -> None:
    assert pseudonym(KEY, "zper", "125024") != pseudonym(secrets.token_bytes(32), "zper", "125024")
    assert pseudonym(KEY, "zper", "125024") != pseudonym(KEY, "doctor", "125024")
    assert len(pseudonym(KEY, "zper", "125024")) == 32


def test_the_manifest_says_what_was_done_and_proves_the_file(task: Task, randhie: Path) -> None:
    prepare(task, randhie)
    manifest = json.loads((task.paths.out / "manifest.json").read_bytes())
    assert manifest["files"] == [
        {
            "name": "data.parquet",
            "sha256": sha256(task.paths.out / "data.parquet"),
            "size": (task.paths.out / "data.parquet").stat().st_size,
        }
    ]
    assert [(column["name"], column["treatment"]) for column in manifest["columns"]] == [
        ("zper", "pseudonym"),
        ("plan", "kept"),
        ("income", "kept"),
    ]
    assert set(manifest["columns"][0]["treatment_text"]) == {"zh", "en"}
    assert not (task.paths.out / ".scratch").exists()


def test_only_approved_rows_are_in_it(task: Task, flights: Path) -> None:
    columns = [{"name": "carrier", "class": "conditional"}, {"name": "distance", "class": "conditional"}]
    rows = [{"column": "carrier", "op": "in", "value": ["UA", "AA"]}, {"column": "month", "op": "between", "value": [1, 3]}]
    result = prepare(task, flights, columns=columns, rows=rows)
    release = pq.read_table(task.paths.out / "data.parquet")
    assert set(release["carrier"].to_pylist()) == {"UA", "AA"}
    assert release.column_names == ["carrier", "distance"]
    assert 0 < result["result"]["rows"] < 91_000


@pytest.mark.parametrize(
    ("job", "code"),
    [
        ({"columns": [{"name": "salary", "class": "personal"}]}, "column_not_in_dataset"),
        ({"columns": [{"name": "income", "class": "non_open"}]}, "column_not_releasable"),
        ({"columns": [{"name": "income", "class": None}]}, "column_not_releasable"),
        ({"columns": []}, "release_without_columns"),
        ({"rows": [{"column": "plan", "op": "=", "value": 999}]}, "release_empty"),
        ({"rows": [{"column": "plan", "op": "; DROP", "value": 1}]}, "row_filter_invalid"),
        ({"rows": [{"column": "plan OR 1=1", "op": "=", "value": 1}]}, "column_not_in_dataset"),
    ],
)
def test_what_was_not_approved_makes_no_release(task: Task, randhie: Path, job: dict[str, Any], code: str) -> None:
    result = prepare(task, randhie, **job)
    assert (result["ok"], result["errors"][0]["code"]) == (False, code)
    assert not (task.paths.out / "data.parquet").exists()


def test_a_short_key_makes_no_release(task: Task, randhie: Path) -> None:
    assert prepare(task, randhie, key=b"short")["errors"][0]["code"] == "pseudonym_key_missing"


def test_a_filter_is_compiled_to_parameters_never_to_sql() -> None:
    where, values = row_filter(
        [{"column": 'a"b', "op": "=", "value": "'; DROP TABLE x"}, {"column": "n", "op": "is_null"}], {'a"b': "VARCHAR", "n": "BIGINT"}
    )
    assert where == '"a""b" = ? AND "n" IS NULL'
    assert values == ["'; DROP TABLE x"]
    with pytest.raises(Refusal, match="row_filter_invalid"):
        row_filter([{"column": "n", "op": "=", "value": {"a": 1}}], {"n": "BIGINT"})
