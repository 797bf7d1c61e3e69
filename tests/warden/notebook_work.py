"""What notebooks do, run in a real kernel container: the profile and the limits must leave all of it whole. Prints `done` at the end."""

# written as people write notebooks
# ruff: noqa: E401, F401, I001, ICN001, NPY002, PTH101, PTH103, PTH104, PTH123, PTH211, S602, SIM115, T201


def double(n):
    return 2 * n


if __name__ == "__main__":
    import json, subprocess, multiprocessing, concurrent.futures, tempfile, asyncio, socket, os, threading, sqlite3, mmap, shutil, signal, time, select
    from multiprocessing import shared_memory
    import duckdb, numpy, pandas, polars, pyarrow.parquet, matplotlib, sklearn.linear_model, sklearn.ensemble, statsmodels.api, scipy.linalg

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    os.makedirs("/tmp/w", exist_ok=True)
    os.chdir("/tmp/w")
    frame = pandas.DataFrame({"a": range(200000), "b": numpy.random.default_rng(0).random(200000)})
    frame.to_parquet("x.parquet")
    frame.to_csv("x.csv")
    frame.head().to_pickle("x.pkl")
    db = duckdb.connect("f.duckdb")
    db.execute("set memory_limit='60MB'")
    db.execute("set temp_directory='/tmp/w/spill'")
    db.execute("create table t as select * from 'x.parquet'")
    db.execute("select a,b,row_number() over (order by b) from t").fetchall()
    db.close()
    polars.scan_parquet("x.parquet").group_by("a").len().collect()
    polars.read_csv("x.csv")
    plt.plot(frame.a[:50], frame.b[:50])
    plt.savefig("x.png")
    plt.savefig("x.svg")
    plt.savefig("x.pdf")

    def double(n):
        return 2 * n

    for how in ("fork", "forkserver"):
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(how)) as pool:
            list(pool.map(abs, range(10)))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(double, range(10)))
    sklearn.ensemble.RandomForestRegressor(20, n_jobs=2).fit(frame[["a"]][:500], frame.b[:500])
    import joblib

    joblib.Parallel(2)(joblib.delayed(abs)(i) for i in range(4))
    numpy.linalg.svd(numpy.random.rand(300, 300))
    statsmodels.api.OLS(frame.b, frame[["a"]]).fit().summary()
    m = shared_memory.SharedMemory(create=True, size=1000)
    m.close()
    m.unlink()
    q = multiprocessing.Queue()
    q.put(1)
    q.get()
    multiprocessing.Lock().acquire()

    async def ls():
        return await (await asyncio.create_subprocess_exec("true")).wait()

    asyncio.run(ls())
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname()).close()
    a, b = socket.socketpair()
    a.send(b"x")
    b.recv(1)
    c = sqlite3.connect("s.db")
    c.execute("create table t(a)")
    c.commit()
    with open("m", "w+b") as f:
        f.truncate(4096)
        mm = mmap.mmap(f.fileno(), 4096)
        mm[0] = 1
        mm.flush()
        os.fsync(f.fileno())
    shutil.copy2("x.csv", "y.csv")
    shutil.copytree("/tmp/w", "/tmp/w2", ignore=shutil.ignore_patterns("spill"))
    shutil.rmtree("/tmp/w2")
    os.symlink("x.csv", "l")
    os.link("x.csv", "h")
    os.mkfifo("p")
    os.chmod("x.csv", 0o600)
    os.rename("h", "h2")
    os.utime("h2")
    os.statvfs("/")
    os.chown("x.csv", os.getuid(), os.getgid())
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.05)
    signal.alarm(0)
    os.nice(1)
    os.sched_getaffinity(0)
    os.getpriority(0, 0)
    import zipfile, tarfile, gzip

    tarfile.open("t.tgz", "w:gz").add("x.csv")
    zipfile.ZipFile("z.zip", "w").write("x.csv")
    for command in (
        "ls -laR /tmp/w | grep x | sort | uniq -c | awk '{print $1}'",
        "find . -name '*.csv' | xargs wc -l; du -sh .; df -h .; tar czf /tmp/o.tgz x.csv; tar xzf /tmp/o.tgz; sed -i s/0/0/ m; cp -a x.csv q; mv q r; rm r; date; id; nproc; timeout 1 true; nohup true; mktemp; head -c 10 x.csv | tee /dev/null | od",
        "bash -c 'for i in 1 2; do sleep 0.01 & done; wait; kill -0 $$; ulimit -a'",
    ):
        subprocess.run(command, shell=True, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    from jupyter_client.manager import start_new_kernel
    import jupyter_client.kernelspec

    os.makedirs("/tmp/j/kernels/python3", exist_ok=True)
    open("/tmp/j/kernels/python3/kernel.json", "w").write(
        json.dumps({"argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "p", "language": "python"})
    )
    os.environ["JUPYTER_PATH"] = "/tmp/j"
    os.environ["JUPYTER_RUNTIME_DIR"] = "/tmp/jr"
    from jupyter_client import KernelManager

    km = KernelManager(kernel_name="python3")
    km.transport = "ipc"
    km.ip = "/tmp/kk"
    km.start_kernel()
    kc = km.client()
    kc.start_channels()
    kc.wait_for_ready(timeout=60)
    print(
        kc.execute_interactive("import pandas, matplotlib.pyplot as plt\nplt.plot([1,2]); plt.show()\n!ls\nprint(1)", timeout=60)[
            "content"
        ]["status"]
    )
    km.interrupt_kernel()
    km.shutdown_kernel()
    print("done", flush=True)
