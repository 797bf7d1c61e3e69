"""Import: real files come in whole, bad ones are refused with code, line and field."""

import io
import json
import stat
import zipfile
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from sandbox.checks.engine import connect

from .conftest import Task


def profile(path: Path) -> dict[str, dict[str, object]]:
    return {column["name"]: column for column in json.loads((path / "profile.json").read_bytes())["columns"]}


def code(result: dict) -> tuple[str, int | None]:
    assert not result["ok"]
    assert result["result"] is None
    return result["errors"][0]["code"], result["errors"][0]["line"]


def test_flights_come_in_from_the_zip_with_every_row_and_typed(flights: Path) -> None:
    table = pq.read_table(flights / "data.parquet")
    assert (table.num_rows, table.num_columns) == (336_776, 19)
    columns = profile(flights)
    assert {name: columns[name]["type"] for name in ("dep_delay", "carrier", "time_hour")} == {
        "dep_delay": "BIGINT",
        "carrier": "VARCHAR",
        "time_hour": "TIMESTAMP",
    }
    assert columns["dep_delay"]["nulls"] == 8255
    assert columns["dep_delay"]["missing_text"] == "NA"
    assert columns["distance"]["min"] == "17"
    assert {column["proposed_class"] for column in columns.values()} == {"conditional"}


def test_persons_are_seen_in_the_health_experiment(randhie: Path) -> None:
    columns = profile(randhie)
    assert pq.read_metadata(randhie / "data.parquet").num_rows == 20_190
    assert len(columns) == 45
    assert (columns["zper"]["proposed_class"], columns["zper"]["title"]) == ("identifier", "person id, leading digit is sit")
    assert {
        name for name in ("income", "xage", "female", "black", "mhi", "disea") if columns[name]["proposed_class"] != "personal"
    } == set()
    assert columns["plan"]["proposed_class"] == "conditional"
    assert not any("min" in column for column in columns.values() if column["proposed_class"] != "conditional")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b,c\n1,2,3\n4,5\n", ("csv_row_broken", 3)),
        (b'a,b,c\n"x\ny",2,3\n1,2,3,4\n', ("csv_row_broken", 4)),
        (b'a,b,c\n1,2,3\n1,"2,3\n', ("csv_row_quotes", 3)),
        (b"a,b\n1,2\n\xb1\xb1,2\n", ("csv_not_utf8", 3)),
        ("a,b\n1,2\n".encode("utf-16"), ("csv_not_utf8", 1)),
        (b"a,b\n1,2\n1,\0\n", ("csv_not_text", 3)),
        (b"1,2,3\n4,5,6\n", ("csv_no_header", 1)),
        (b"a,,c\n4,5,6\n", ("csv_no_header", 1)),
        (b"a,b,A\n4,5,6\n", ("csv_duplicate_column", 1)),
        ("a,b\u200b\n4,5\n".encode(), ("csv_bad_column_name", 1)),
        (b"", ("csv_empty", None)),
        (b"a,b\n", ("csv_empty", None)),
        (b"a,b\n1,2\r\n3,4\n", ("csv_newlines_mixed", None)),
    ],
)
def test_a_bad_file_is_refused_with_code_and_line(task: Task, content: bytes, expected: tuple[str, int | None]) -> None:
    assert code(task.upload(content)) == expected
    assert task.exit == 2
    assert not (task.paths.out / "data.parquet").exists()


def test_every_broken_row_is_named(task: Task) -> None:
    result = task.upload(b"a,b\n1\n1,2\n1,2,3\n")
    assert [(error["code"], error["line"]) for error in result["errors"]] == [("csv_row_broken", 2), ("csv_row_broken", 4)]


def test_a_good_file_with_bom_quotes_and_chinese_loses_nothing(task: Task) -> None:
    result = task.upload('\ufeff姓名,年龄,备注,编码\n甲,30,"多行\n备注, 逗号",007\n乙,,NA,010\n'.encode())
    assert result["ok"]
    rows = pq.read_table(task.paths.out / "data.parquet").to_pylist()
    assert rows[0] == {"姓名": "甲", "年龄": 30, "备注": "多行\n备注, 逗号", "编码": "007"}
    assert rows[1] == {"姓名": "乙", "年龄": None, "备注": "NA", "编码": "010"}
    assert [column["proposed_class"] for column in result["result"]["columns"]] == ["identifier", "personal", "conditional", "conditional"]


def test_a_telling_value_makes_an_identifier_of_a_column_without_a_telling_name(task: Task) -> None:
    result = task.upload(b"a,b\n13812345678,1\n13912345678,2\n")
    assert result["result"]["columns"][0]["proposed_class"] == "identifier"


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("a.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (zipped(("a.csv", b"a\n1\n"), ("b.csv", b"a\n1\n")), "zip_not_one_csv"),
        (zipped(("a.txt", b"a\n1\n")), "zip_not_one_csv"),
        (zipped((link(), b"/etc/passwd")), "zip_refused"),
        (zipped(("a.csv", b"a,b\n" + b"0,0\n" * 5_000_000)), "zip_bomb"),
        (zipped(("a.csv", b"a,b\n1,2\n"))[:-30], "csv_not_utf8"),
    ],
)
def test_an_archive_that_is_not_one_plain_csv_is_refused(task: Task, content: bytes, expected: str) -> None:
    assert code(task.upload(content, "data.zip"))[0] == expected


def test_a_name_in_the_archive_is_never_a_path(task: Task) -> None:
    assert task.upload(zipped(("../../escaped.csv", b"a,b\n1,2\n")), "data.zip")["ok"]
    assert not list(task.paths.out.parent.parent.glob("**/escaped.csv"))


def test_the_size_limit_counts_what_is_unpacked(task: Task) -> None:
    (task.paths.inputs / "upload" / "d.csv").write_bytes(b"a,b\n" + b"1,2\n" * 1000)
    assert code(task.run("import", {"file": "d.csv", "max_bytes": 100}))[0] == "csv_too_large"


def test_duckdb_reaches_nothing_but_the_tasks_directories(task: Task) -> None:
    connection = connect(task.paths)
    for statement in (
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/dev-leak.csv'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)
    twin = duckdb.connect()
    assert twin.execute(
        "SELECT count(*) > 0 FROM read_csv('/etc/passwd', header = false, delim = ':', strict_mode = false)"
    ).fetchone() == (True,)
