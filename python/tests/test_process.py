"""Threads, signals, forks, and the end of the process."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import tfarrow
from conftest import DIGITS, DIGITS_ROWS, ROOT


def run(code, **arguments):
    """Runs a program that imports tfarrow as these tests do."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=120,
        **arguments,
    )


def test_ctrl_c_is_heard_while_waiting():
    # Nobody writes to the pipe: reading waits forever.
    code = """
        import os, signal, threading, time, tfarrow
        read, write = os.pipe()
        os.dup2(read, 0)
        def interrupt():
            time.sleep(1)
            global sent
            sent = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt, daemon=True).start()
        try:
            tfarrow.open("-", record="raw").to_numpy()
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - sent)
        os._exit(0)
    """
    found = run(code)
    assert found.stdout.startswith("interrupted"), found.stderr
    # 200 ms on an idle machine; a busy one may take its time to wake anybody.
    assert float(found.stdout.split()[1]) < 5


def test_other_threads_go_on_while_reading(digits):
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        for _ in range(5):
            tfarrow.open([digits] * 20, columns=["label"], batch_rows=100000).to_numpy()
    finally:
        stop.set()
        ticker.join()
    assert len(ticks) > 5


def test_many_threads_read_one_dataset(digits):
    ds = tfarrow.open(digits)
    sums = []

    def read():
        sums.append(sum(int(batch["label"].sum()) for batch in ds))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [8070] * 8


def test_forked_processes_read_anew(digits):
    code = f"""
        import os, tfarrow
        ds = tfarrow.open({digits!r})
        reader = iter(ds)
        next(reader)
        pid = os.fork()
        if pid == 0:
            try:
                next(reader)
            except RuntimeError as error:
                assert "another process" in str(error)
                rows = sum(batch.num_rows for batch in ds)
                os._exit(0 if rows == {DIGITS_ROWS} else 3)
            os._exit(4)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert sum(batch.num_rows for batch in reader) == {DIGITS_ROWS} - 1024
        print("both")
    """
    found = run(code)
    assert found.stdout == "both\n", found.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pools_share_out_a_dataset(digits, method):
    code = f"""
        import multiprocessing, tfarrow
        def rows(part):
            return sum(batch.num_rows for batch in part)
        if __name__ == "__main__":
            ds = tfarrow.open({digits!r})
            ds.count()
            context = multiprocessing.get_context({method!r})
            with context.Pool(2) as pool:
                print(sum(pool.map(rows, [ds.shard(i, 4) for i in range(4)])))
    """
    if method == "spawn":
        # A function given with -c cannot be found by a new process: a method of the library can.
        code = code.replace("pool.map(rows,", "pool.map(tfarrow.Dataset.count,")
    found = run(code)
    assert found.stdout == f"{DIGITS_ROWS}\n", found.stderr


def test_the_interpreter_ends_while_a_reader_is_open(digits):
    found = run(f"""
        import tfarrow
        reader = iter(tfarrow.open([{digits!r}] * 50))
        batch = next(reader)
        view = batch["pixels"]
        print("end")
    """)
    assert (found.stdout, found.returncode) == ("end\n", 0), found.stderr


def test_a_thousand_opens_leave_nothing_behind(digits):
    psutil = pytest.importorskip("psutil")
    process = psutil.Process()

    def some(times):
        for _ in range(times):
            next(iter(tfarrow.open(digits, columns=["pixels"])))["pixels"].sum()
        gc.collect()

    some(100)
    before, files, threads = process.memory_info().rss, process.num_fds(), process.num_threads()
    some(1000)
    # A batch is 260 KB: 1,000 that were kept would be 260 MB.
    assert process.memory_info().rss - before < 60 << 20
    assert process.num_fds() <= files + 2
    deadline = time.monotonic() + 10
    while process.num_threads() > threads + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.num_threads() <= threads + 2


def test_torch_workers_read_each_row_once(digits):
    python = os.environ.get("TFARROW_TORCH_PYTHON")
    if not python:
        assert "CI" not in os.environ, "no interpreter with torch: install python3-torch"
        pytest.skip("no interpreter with torch")
    code = f"""
        import torch, tfarrow
        rows = tfarrow.open({digits!r}).select(["label", "pixels", "writer"]).to_torch(batch_rows=100)
        for workers in (0, 2):
            loader = torch.utils.data.DataLoader(rows, batch_size=None, num_workers=workers)
            batches = list(loader)
            labels = sorted(int(label) for batch in batches for label in batch["label"])
            assert len(labels) == {DIGITS_ROWS} and sum(labels) == 8070, (workers, len(labels))
            assert batches[0]["pixels"].shape == (100, 64) and batches[0]["pixels"].dtype == torch.float32
            assert batches[0]["writer"][0] == "writer-00"
        print("once")
    """
    # Of the path, our package alone: the other interpreter has its own of everything else.
    package = os.path.dirname(os.path.dirname(tfarrow.__file__))
    found = subprocess.run(
        [python, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": package},
        timeout=300,
    )
    assert found.stdout == "once\n", found.stderr
