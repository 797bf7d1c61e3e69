"""B7m: `ds.sql` in mounted mode, with policy and record, against the same query by plain DuckDB in the same kernel."""

from collections.abc import AsyncIterator

from bench.figures import Figure, median_ms
from bench.study import Study

ROUNDS, WARM_UP = 60, 5
LONG_MS = 15.0  # a query is long from here on
# Aggregates of growing weight: the first that proves long on this machine counts, so that its length is near the bound.
SHORT = "SELECT count(*) AS n FROM flights"
LONG = (
    "SELECT carrier, origin, dest, count(*) AS n, avg(dep_delay) AS a, median(arr_delay) AS m FROM flights GROUP BY ALL ORDER BY n DESC",
    "SELECT carrier, dest, month, count(*) AS n, avg(dep_delay) AS a, median(arr_delay) AS m FROM flights GROUP BY ALL ORDER BY n DESC",
    "SELECT carrier, dest, month, day, count(*) AS n, avg(dep_delay) AS a, median(arr_delay) AS m FROM flights GROUP BY ALL ORDER BY n DESC",
)
CELL = """
import json, statistics, time
import duckdb
import datasandbox as ds

connection = duckdb.connect()
connection.execute("CREATE VIEW flights AS SELECT * FROM read_parquet('/data/flights/data.parquet')")

def plain(query):
    return connection.execute(query).df()

def rounds(query, count):
    took = {{"ours": [], "peer": []}}
    for number in range(count):
        for name, act in (("ours", ds.sql), ("peer", plain))[:: 1 if number % 2 else -1]:
            begun = time.perf_counter()
            act(query)
            took[name].append(time.perf_counter() - begun)
    return took

found = {{}}
rounds({short!r}, {warm_up})
found["short"] = rounds({short!r}, {rounds})
for query in {long!r}:
    rounds(query, {warm_up})
    found |= {{"query": query, "long": rounds(query, {rounds})}}
    if statistics.median(found["long"]["peer"]) * 1000 >= {long_ms}:
        break
print(json.dumps(found))
"""


async def mounted(study: Study) -> AsyncIterator[Figure]:
    """Measure a long query for the ratio; what is added is the larger of its and a short one's."""
    found = await study.cell(CELL.format(long=LONG, short=SHORT, long_ms=LONG_MS, warm_up=WARM_UP, rounds=ROUNDS))
    middle = {length: {who: median_ms(took) for who, took in found[length].items()} for length in ("short", "long")}
    ours, peer = middle["long"]["ours"], middle["long"]["peer"]
    if peer < LONG_MS:
        raise ValueError(f"no query here is long enough on this machine: {peer:.1f} ms of {LONG_MS:.0f}")
    how = f"medians, in turn, same kernel and Parquet file, to pandas; plain takes {peer:.1f} ms: {found['query']}"
    yield Figure("B7m", f"ds.sql in mounted mode, a query of at least {LONG_MS:.0f} ms", ours, peer, "ms", "<= 1.05x", ROUNDS, how)
    added = {length: both["ours"] - both["peer"] for length, both in middle.items()}
    how = (
        f"difference of the medians: short query {added['short']:.2f} ms ({middle['short']['peer']:.2f} plain), long {added['long']:.2f} ms"
    )
    yield Figure("B7m-added", "what policy and record add to a query", max(added.values()), None, "ms", "<= 3", ROUNDS, how)
