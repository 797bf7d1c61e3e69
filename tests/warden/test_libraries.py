"""The profile and the limits leave a notebook whole: the usual libraries work in a launched kernel container."""

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker

CODE = """
import json, subprocess, multiprocessing, concurrent.futures, tempfile, asyncio, socket
import duckdb, numpy, pandas, polars, pyarrow.parquet, matplotlib, sklearn.linear_model, statsmodels.api
matplotlib.use("agg")
import matplotlib.pyplot as plt
frame = pandas.DataFrame({"a": range(1000), "b": numpy.random.default_rng(0).random(1000)})
with tempfile.TemporaryDirectory() as folder:
    frame.to_parquet(folder + "/x.parquet")
    sums = [int(duckdb.sql(f"select sum(a) from '{folder}/x.parquet'").fetchall()[0][0]), int(polars.read_parquet(folder + "/x.parquet")["a"].sum())]
    plt.plot(frame.a, frame.b); plt.savefig(folder + "/x.png")
def double(n): return 2 * n
with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
    sums.append(sum(pool.map(double, range(10))))
async def ls():
    return await (await asyncio.create_subprocess_exec("true")).wait()
server = socket.create_server(("127.0.0.1", 0)); socket.create_connection(server.getsockname()).close()
model = sklearn.linear_model.LinearRegression().fit(frame[["a"]], frame.a)
print(json.dumps([*sums, asyncio.run(ls()), round(float(model.coef_[0]), 6), subprocess.run(["echo", "x"], capture_output=True, text=True).stdout]))
"""


def test_the_work_of_notebooks_meets_no_refusal(stage):
    spec = stage.spec(memory=2 << 30, pids=256)
    answer = stage.launch(spec)
    code = (Path(__file__).parent / "notebook_work.py").read_text()
    # a file, since `forkserver` imports the program again
    stage.run_inside(answer["kernel_container"], f"open('/tmp/work.py', 'w').write({code!r})")
    done = subprocess.run(
        ["docker", "exec", answer["kernel_container"], "python", "/tmp/work.py"], capture_output=True, text=True, timeout=180, check=False
    )
    stage.do(stage.portal.stop(spec["sandbox"]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == ["ok", "done"]
    assert "Operation not permitted" not in done.stderr


def test_the_usual_libraries_work_under_the_confinement(stage):
    spec = stage.spec(memory=2 << 30, pids=256)
    answer = stage.launch(spec)
    done = subprocess.run(
        ["docker", "exec", "-i", answer["kernel_container"], "python", "-"],
        input=CODE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    stage.do(stage.portal.stop(spec["sandbox"]))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [499500, 499500, 90, 0, 1.0, "x\n"]
