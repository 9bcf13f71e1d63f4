"""What a call takes from each language: one process for each, which take turns in one run.

    make bench-bindings

prints a table. The ratios to C say more than the times, which depend on the machine. With the directories of the wheel and
of npm's packages, it also measures how long it takes to install each and to have a first reply.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = int(os.environ.get("ARAWN_BENCH_ROUNDS", "30"))
CALLS = 2000
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# The language, a row of its worker, and the bound: at most so many microseconds, or at least so many calls a second.
ROWS = [
    ("C", "execute", None),
    ("Go", "execute", 6.5),
    ("Lua", "execute", 20),
    ("Lua", "execute, with a host function set", 20),
    ("Node.js", "executeSync", None),
    ("Node.js", "execute", 20),
    ("Node.js", "awaited, 64 at once", None),
    ("Python", "execute", 12),
    ("Python", "awaited, 64 at once", 15000),
]
IS_RATE = "awaited, 64 at once"
HELLO_PYTHON = "import arawn; print(arawn.Executor().execute('passthrough', {}, {}))"
HELLO_NODE = "new (require('arawn').Executor)().execute('passthrough').then((output) => console.log(output))"


class Worker:
    def __init__(self, command):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)

    def round(self):
        self.process.stdin.write(f"{CALLS}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)


def first_reply(commands):
    """The seconds that the commands take in an empty directory."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "XDG_CACHE_HOME": directory}
        environment.pop("ARAWN_LIBRARY", None)
        begun = time.perf_counter()
        for command in commands:
            subprocess.run(command, cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun


def measure(programs):
    node = os.environ.get("NODE", "node")
    workers = {
        "C": Worker([programs / "bench-c"]),
        "Go": Worker([programs / "bench-go"]),
        "Lua": Worker(["luajit", HERE / "worker.lua"]),
        "Node.js": Worker([node, HERE / "worker.mjs"]),
        "Python": Worker([sys.executable, HERE / "worker.py"]),
    }
    for worker in workers.values():
        worker.round()
    rounds = [{language: worker.round() for language, worker in workers.items()} for _ in range(ROUNDS)]
    for worker in workers.values():
        worker.process.stdin.close()
        worker.process.wait()
    return rounds


def main(programs, wheels, packages):
    rounds = measure(programs)
    print(f"{ROUNDS} rounds of {CALLS} calls.\n\n| language | what | bound | measured | of C |\n| --- | --- | ---: | ---: | ---: |")
    for language, what, bound in ROWS:
        value = statistics.median(one[language][what] for one in rounds)
        is_rate = what == IS_RATE
        ratio = "" if is_rate else f"{statistics.median(one[language][what] / one['C']['execute'] for one in rounds):.2f}"
        is_missed = bound and (value < bound if is_rate else value > bound)
        unit = "a second" if is_rate else "µs"
        shown = f"{value:,.0f} {unit}" if is_rate else f"{value:.2f} {unit}"
        limit = f"{bound:,} {unit}" if bound else ""
        print(f"| {language} | {what} | {limit} | {shown}{' (missed)' if is_missed else ''} | {ratio} |")
    pip = [["python3", "-m", "venv", "venv"], ["venv/bin/pip", "install", "--quiet", *wheels.glob("arawn-*.whl")]]
    npm = [["npm", "install", "--silent", "--no-audit", "--no-fund", *packages.glob("*.tgz")]]
    for name, commands in [
        ("Python", [*pip, ["venv/bin/python", "-c", HELLO_PYTHON]]),
        ("Node.js", [*npm, [os.environ.get("NODE", "node"), "-e", HELLO_NODE]]),
    ]:
        print(f"| {name} | installed, and a first reply | 30 s | {first_reply(commands):.1f} s | |")


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:]))
