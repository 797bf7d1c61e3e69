"""Honest tables pass, leaks do not, on the real releases; each control has its twin."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sandbox.checks.package import read_release
from sandbox.checks.rules import Finding, Limits, check_file
from sandbox.checks.tabular import Release


@pytest.fixture(scope="module")
def air(flights: Path) -> tuple[pd.DataFrame, Release]:
    return pd.read_parquet(flights / "data.parquet"), read_release(flights / "data.parquet", {"dataset": "flights"})


@pytest.fixture(scope="module")
def health(randhie: Path) -> tuple[pd.DataFrame, Release]:
    return pd.read_parquet(randhie / "data.parquet"), read_release(randhie / "data.parquet", {"dataset": "randhie"})


def csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def check(content: bytes, *releases: Release, file: str = "table.csv", **limits: int) -> list[Finding]:
    return check_file(file, content, releases, Limits(**limits))[1]


def codes(findings: list[Finding], verdict: str) -> set[str]:
    return {finding.code for finding in findings if finding.verdict == verdict}


def grouped(frame: pd.DataFrame, keys: list[str], **aggregates: tuple[str, str]) -> pd.DataFrame:
    groups = frame.assign(_one=1).groupby(keys, observed=True).agg(n=("_one", "sum"), **aggregates).reset_index()
    return groups[groups["n"] >= 10]


HONEST_FLIGHTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "by carrier": lambda f: grouped(f, ["carrier"], mean_dep_delay=("dep_delay", "mean")),
    "by carrier, rounded": lambda f: grouped(f, ["carrier"], mean_dep_delay=("dep_delay", "mean")).round(2),
    "by origin and month": lambda f: grouped(
        f, ["origin", "month"], mean_arr_delay=("arr_delay", "mean"), sum_distance=("distance", "sum")
    ),
    "by destination and carrier": lambda f: grouped(f, ["dest", "carrier"], mean_dep_delay=("dep_delay", "mean")).round(1),
    "by day": lambda f: grouped(f, ["month", "day"], mean_dep_delay=("dep_delay", "mean")).round(0),
    "histogram of hours": lambda f: grouped(f, ["hour"]),
    "by plane and carrier": lambda f: grouped(f, ["tailnum", "carrier"], mean_distance=("distance", "mean")).round(2),
    "by route with deviation": lambda f: grouped(
        f, ["origin", "dest"], std_air_time=("air_time", "std"), mean_air_time=("air_time", "mean")
    ),
    "renamed keys": lambda f: grouped(f, ["carrier", "origin"], mean_dep_delay=("dep_delay", "mean")).rename(
        columns={"carrier": "航司", "n": "航班数"}
    ),
}
HONEST_HEALTH: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "by plan and year": lambda f: grouped(f, ["plan", "year"], mean_income=("income", "mean"), mean_meddol=("meddol", "mean")).round(0),
    "by site and sex": lambda f: grouped(f, ["site", "female"], mean_mdvis=("mdvis", "mean"), sum_totadm=("totadm", "sum")),
    "by visits": lambda f: grouped(f, ["mdvis"]),
}
LEAKS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "plain": lambda f: f.head(300),
    "shuffled": lambda f: f.sample(300, random_state=1)[list(reversed(f.columns))],
    "renamed": lambda f: f.sample(300, random_state=2).rename(columns={name: f"x{place}" for place, name in enumerate(f.columns)}),
    "half of it invented": lambda f: pd.concat(
        [f.sample(150, random_state=3), f.apply(lambda c: c.sample(frac=1, random_state=len(c.name)).to_numpy()).head(150)]
    ),
}


def dress(frame: pd.DataFrame) -> pd.DataFrame:
    """Give rows the count column an attacker would give them."""
    return frame.assign(n=25)


@pytest.mark.parametrize("kind", HONEST_FLIGHTS)
def test_an_honest_table_of_flights_is_not_denied_beside_both_releases(
    air: tuple[pd.DataFrame, Release], health: tuple[pd.DataFrame, Release], kind: str
) -> None:
    findings = check(csv(HONEST_FLIGHTS[kind](air[0])), air[1], health[1])
    assert codes(findings, "deny") == set()
    assert "raw_rows" in codes(findings, "pass")


@pytest.mark.parametrize("kind", HONEST_HEALTH)
def test_an_honest_table_of_persons_is_not_denied_beside_both_releases(
    air: tuple[pd.DataFrame, Release], health: tuple[pd.DataFrame, Release], kind: str
) -> None:
    assert codes(check(csv(HONEST_HEALTH[kind](health[0])), air[1], health[1]), "deny") == set()


@pytest.mark.parametrize("kind", LEAKS)
@pytest.mark.parametrize(
    "columns", [["carrier", "flight", "tailnum", "dep_delay", "month", "day"], ["dest", "dep_time", "arr_delay", "air_time"]]
)
def test_raw_flights_are_denied(air: tuple[pd.DataFrame, Release], kind: str, columns: list[str]) -> None:
    leak = dress(LEAKS[kind](air[0][columns].dropna().sample(5000, random_state=9)))
    assert codes(check(csv(leak), air[1]), "deny") - {"count_not_true"} == {"raw_rows"}
    unrelated = air[1].__class__("flights", tuple(column for column in air[1].columns if column.name not in columns), air[1].rows)
    assert "raw_rows" in codes(check(csv(leak), unrelated), "pass")  # twin: without the release nothing is seen


@pytest.mark.parametrize("kind", LEAKS)
@pytest.mark.parametrize("columns", [["plan", "site", "year", "income", "xage", "female", "mdvis"], ["income", "mhi"]])
def test_raw_records_of_persons_are_denied(health: tuple[pd.DataFrame, Release], kind: str, columns: list[str]) -> None:
    assert codes(check(csv(dress(LEAKS[kind](health[0][columns]))), health[1]), "deny") - {"count_not_true"} == {"raw_rows"}


@pytest.mark.parametrize(
    ("digits", "columns"), [(0, ["income", "xage", "meddol"]), (1, ["xage", "mhi", "ghindx"]), (-1, ["income", "xage", "mhi", "plan"])]
)
def test_rounded_records_are_denied(health: tuple[pd.DataFrame, Release], digits: int, columns: list[str]) -> None:
    rounded = (
        health[0][columns].dropna().sample(300, random_state=4).round(digits).rename(columns={name: f"mean_{name}" for name in columns})
    )
    assert codes(check(csv(dress(rounded)), health[1]), "deny") - {"count_not_true"} == {"raw_rows"}


def test_a_list_of_exact_values_alone_is_denied(health: tuple[pd.DataFrame, Release]) -> None:
    assert "raw_rows" in codes(check(csv(dress(health[0].query("meddol > 0")[["meddol"]].sample(200, random_state=5))), health[1]), "deny")


def test_a_median_of_honest_groups_goes_to_a_reviewer(health: tuple[pd.DataFrame, Release]) -> None:
    findings = check(csv(grouped(health[0], ["plan", "year"], median_income=("income", "median"))), health[1])
    assert codes(findings, "deny") == set()
    assert "single_record_values" in codes(findings, "review")


HONEST_NAMES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "values keep the column's name": lambda f: grouped(f, ["carrier"], dep_delay=("dep_delay", "mean"), distance=("distance", "max")).round(
        0
    ),
    "two counts, one of them of late flights": lambda f: grouped(f.assign(late=f.dep_delay > 15), ["dest"], n_late=("late", "sum")).query(
        "n_late >= 10"
    ),
    "a part of the records": lambda f: grouped(f.query("dep_delay > 60"), ["carrier", "month"], mean_dep_delay=("dep_delay", "mean")),
    "the commonest destination": lambda f: grouped(f, ["carrier"], dest=("dest", lambda d: d.mode()[0])),
    "with a row of totals": lambda f: pd.concat([grouped(f, ["carrier"]), pd.DataFrame({"carrier": ["All"], "n": [len(f)]})]),
    "bands of tens under the old name": lambda f: grouped(f.assign(dep_delay=f.dep_delay // 10 * 10), ["dep_delay"]),
    "DuckDB's own titles": lambda f: grouped(f, ["carrier"], m=("dep_delay", "mean")).rename(
        columns={"n": "count_star()", "m": "avg(dep_delay)"}
    ),
}


@pytest.mark.parametrize("kind", HONEST_NAMES)
def test_an_honest_table_with_unusual_names_is_not_denied(
    air: tuple[pd.DataFrame, Release], health: tuple[pd.DataFrame, Release], kind: str
) -> None:
    assert codes(check(csv(HONEST_NAMES[kind](air[0])), air[1], health[1]), "deny") == set()


DAY = ["carrier", "origin", "dest", "month", "day"]


@pytest.mark.parametrize("titles", [{}, {"carrier": "航司", "origin": "a", "dest": "b"}])
@pytest.mark.parametrize("claimed", [10, 25])
def test_small_groups_that_claim_more_records_are_denied(air: tuple[pd.DataFrame, Release], titles: dict[str, str], claimed: int) -> None:
    groups = air[0].groupby(DAY).dep_delay.agg(["mean", "size"]).reset_index().dropna()
    small = groups[groups["size"] < 10].head(1500)
    leak = small[[*DAY, "mean"]].rename(columns={"mean": "mean_dep_delay", **titles}).assign(n=claimed)
    (finding,) = [one for one in check(csv(leak), air[1]) if one.code == "count_not_true"]
    assert (finding.verdict, finding.params["rows"], finding.params["lines"]) == ("deny", len(leak), "2, 3, 4, 5, 6")


def test_one_count_above_the_truth_is_denied_and_its_line_named(air: tuple[pd.DataFrame, Release]) -> None:
    table = grouped(air[0], ["carrier", "month"])
    table.loc[table.index[3], "n"] += 1
    (finding,) = [one for one in check(csv(table), air[1]) if one.code == "count_not_true"]
    assert (finding.verdict, finding.params["lines"]) == ("deny", "5")


def test_keys_that_no_record_has_go_to_a_reviewer(air: tuple[pd.DataFrame, Release]) -> None:
    findings = check(b"carrier,n\nUA,100\nQQ,100\n", air[1])
    assert codes(findings, "deny") == set()
    assert "counts_unverified" in codes(findings, "review")


@pytest.mark.parametrize("shift", ["offset", "scaled"])
def test_many_rows_of_figures_of_their_own_go_to_a_reviewer(air: tuple[pd.DataFrame, Release], shift: str) -> None:
    raw = air[0].dropna().head(400)
    columns = {
        f"mean_{name}": raw[name] + 0.37 if shift == "offset" else raw[name] * 3.7
        for name in ("dep_delay", "arr_delay", "distance", "air_time")
    }
    assert "looks_like_rows" in codes(check(csv(pd.DataFrame({"n": 10, **columns})), air[1]), "review")
    honest = check(csv(grouped(air[0], ["month", "day"], mean_dep_delay=("dep_delay", "mean"))), air[1])
    assert "looks_like_rows" in codes(honest, "pass")  # twin: 365 rows that are groups


@pytest.mark.parametrize(
    ("title", "code"),
    [
        ("mean_dep_delay 2013_1_1_517_515_2_830", "column_title_refused"),
        ("x" * 65, "column_title_refused"),
        ("a|b;c", "column_title_refused"),
    ],
)
def test_rows_hidden_in_titles_are_denied(air: tuple[pd.DataFrame, Release], title: str, code: str) -> None:
    assert code in codes(check(f"carrier,n,{title}\nUA,10,1.5\n".encode(), air[1]), "deny")


def test_more_columns_than_a_person_reads_are_denied(air: tuple[pd.DataFrame, Release]) -> None:
    wide = pd.DataFrame([[10] + [1.5] * 200], columns=["n", *(f"r{place}" for place in range(200))])
    assert codes(check(csv(wide), air[1]), "deny") == {"too_many_columns"}


@pytest.mark.parametrize("title", ["mean_dep_delay", "dep_delay_mean", "p95_dep_delay", "平均dep_delay", "AVG(dep_delay)", "dep_delay"])
def test_an_aggregate_of_a_column_is_known_by_its_title(air: tuple[pd.DataFrame, Release], title: str) -> None:
    assert "unknown_column" in codes(check(f"carrier,n,{title}\nUA,10,1.5\n".encode(), air[1]), "pass")
    assert "unknown_column" in codes(check(f"carrier,n,{title} of x9\nUA,10,1.5\n".encode(), air[1]), "review")


@pytest.mark.parametrize(
    ("content", "code", "verdict"),
    [
        (b"carrier,mean_dep_delay\nUA,3.5\n", "count_column_missing", "deny"),
        (b"carrier,n\nUA,9\n", "small_cell", "deny"),
        (b"carrier,n\nUA,\n", "count_not_whole", "deny"),
        (b"carrier,n\nUA,<10\n", "count_not_whole", "deny"),
        ("航司,人数\nUA,3\n".encode(), "small_cell", "deny"),
        (b"carrier,n,n_late\nUA,100,4\n", "small_cell", "deny"),
        ("carrier,n\nU\u200bA,10\n".encode(), "hidden_characters", "deny"),
        ("carrier,n\u2060\nUA,10\n".encode(), "hidden_characters", "deny"),
        (b"carrier,n\n=HYPERLINK(1),10\n", "formula_cells", "review"),
        (b"carrier,n\n@SUM(1),10\n", "formula_cells", "review"),
        (b"carrier,n,blob\nUA,10,c2VjcmV0\n", "unknown_column", "review"),
        (b"carrier,n\nUA,10,3\n", "csv_row_broken", "deny"),
        (b"carrier,n\n", "csv_empty", "deny"),
        (b"carrier,n\nUA,\xff\n", "csv_not_utf8", "deny"),
        (b"", "csv_no_header", "deny"),
    ],
)
def test_a_rule_says_its_code(air: tuple[pd.DataFrame, Release], content: bytes, code: str, verdict: str) -> None:
    assert code in codes(check(content, air[1]), verdict)
    good = check(b"carrier,n,mean_dep_delay\nUA,10,-3.5\n", air[1])
    assert {finding.verdict for finding in good} == {"pass"}  # twin


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.parquet", b"PAR1"),
        ("a.csv", b"PK\x03\x04abc"),
        ("a.csv", b"\x80\x04\x95abc"),
        ("a.csv", b"a,n\n\0,10\n"),
        ("a.csv", b"%PDF-1.7"),
        ("a.csv.exe", b"a,n\n1,10\n"),
        ("../a.csv", b"a,n\n1,10\n"),
        ("a\u202evsc.csv", b"a,n\n1,10\n"),
        ("a", b"a,n\n1,10\n"),
    ],
)
def test_anything_but_a_csv_is_refused(file: str, content: bytes) -> None:
    assert codes(check(content, file=file), "deny") == {"export_type_refused"}


def test_a_file_above_the_limits_is_refused() -> None:
    assert "export_too_large" in codes(check(b"a,n\n1,10\n", max_bytes=5), "deny")
    assert "export_too_many_rows" in codes(check(b"a,n\n1,10\n2,10\n", max_rows=1), "deny")


def test_a_pseudonym_is_found_wherever_it_stands(randhie: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(randhie / "data.parquet", columns=["zper", "plan"])
    frame["zper"] = [f"{person:032x}" for person in frame["zper"]]
    frame.to_parquet(tmp_path / "data.parquet")
    release = read_release(tmp_path / "data.parquet", {"dataset": "randhie", "columns": [{"name": "zper", "treatment": "pseudonym"}]})
    for cell in (frame["zper"][0], frame["zper"][0].upper(), f"x{frame['zper'][0]}y"):
        assert "identifier_values" in codes(check(f"who,n\n{cell},10\n".encode(), release), "deny")
    assert "identifier_values" in codes(check(b"who,n\n" + b"f" * 32 + b",10\n", release), "pass")  # twin
