"""Time of `tfarrow report` beside that of `tfarrow verify` on the same input, in CPU and in wall seconds.

    python benches/report.py INPUT...          # each a file, a folder or a quoted pattern

TFARROW names the program (default: target/dist/tfarrow). Of REPEAT runs (default: 5), in turns, the least
time of each counts: what else the machine does only adds to it.
"""

import glob
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TFARROW = os.environ.get("TFARROW", "target/dist/tfarrow")
REPEAT = int(os.environ.get("REPEAT", "5"))


def run(args):
    start = time.perf_counter()
    process = subprocess.Popen([TFARROW, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 1), args
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start


def main():
    print("| input | | CPU, s | beside `verify` | wall, s | beside `verify` |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in sys.argv[1:]:
        paths = sorted(glob.glob(name))
        with tempfile.TemporaryDirectory() as folder:
            page = ["--overwrite", "-o", str(pathlib.Path(folder) / "r.html")]
            jobs = {"`verify`": ["verify", *paths]}
            for threads in ("1", "2"):
                jobs[f"`report`, {threads} thread{'s' * (threads != '1')}"] = ["report", *paths, *page, "--threads", threads]
            least = {}
            for _ in range(REPEAT):
                for job, args in jobs.items():
                    cpu, wall = run(args)
                    before = least.get(job, (cpu, wall))
                    least[job] = (min(cpu, before[0]), min(wall, before[1]))
        base = least["`verify`"]
        for job, (cpu, wall) in least.items():
            print(f"| {name} | {job} | {cpu:.3f} | {cpu / base[0]:.2f} | {wall:.3f} | {wall / base[1]:.2f} |")


if __name__ == "__main__":
    main()
