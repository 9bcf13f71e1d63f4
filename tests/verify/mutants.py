"""Breaks the checks that docs/security.md relies on, one at a time, and names those whose test does not notice.

    python3 tests/verify/mutants.py                    all mutants
    python3 tests/verify/mutants.py --only 3 --only 7  these two
    python3 tests/verify/mutants.py --list             what there is; nothing is built

A mutant is an expression of src/ with another one in its place. The files mutants_of_*.py have them. A build takes
minutes, so one build has all mutants, and an environment variable chooses one of them when a test runs (mutant
schemata: Untch, Offutt, Harrold 1993):

    (if crate::mutants::chosen(17) { MUTATED } else { ORIGINAL })

1. Only a copy of the tree has mutants, see mutant_tree.py.
2. The test of a mutant must pass without it, and must fail with it. A test that hangs has failed. After a failure the
   test must pass without the mutant again, in the same time: otherwise the machine may have failed it, and both are
   repeated.
3. If a mutant survives or nothing can be told of it, this names it and ends with 1.

`make verify-mutants` runs this.
"""

import argparse
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Optional

from mutant import Mutant, Numbered
from mutant_tree import BUILD, ROOT, TREE, VARIABLE, by_file, copy_tree, link_dependencies, places_of
from mutants_of_access import CACHES, CATALOG, DIRECTORIES, FILES, NETWORK
from mutants_of_limits import CALLS, LIMITS, PIPELINES, SHAPES, SNAPSHOTS

AREAS: dict[str, list[Mutant]] = {
    "directories": DIRECTORIES,
    "files": FILES,
    "caches": CACHES,
    "catalog": CATALOG,
    "network": NETWORK,
    "limits": LIMITS,
    "shapes": SHAPES,
    "calls": CALLS,
    "snapshots": SNAPSHOTS,
    "pipelines": PIPELINES,
}


# How often a mutant and the test without it are run, until the test passes without the mutant.
TRIES = 5


class Run(NamedTuple):
    """How a test has ended: "passed", "failed" or "hung"; "unclear" if it fails without a mutant too."""

    ending: str
    seconds: float
    output: str


def all_mutants() -> list[Numbered]:
    pairs = [(area, mutant) for area, mutants in AREAS.items() for mutant in mutants]
    return [Numbered(number, area, mutant) for number, (area, mutant) in enumerate(pairs, 1)]


def print_list(mutants: list[Numbered]) -> None:
    for path, of_file in by_file(mutants).items():
        places_of((ROOT / path).read_text(), of_file)
    for number, area, mutant in mutants:
        print(f"{number:3}  {area:11}  {mutant.file}: {mutant.breaks}\n{'':18}{mutant.test}")


def build(mutants: list[Numbered]) -> dict[str, pathlib.Path]:
    """Builds the programs of the mutants' tests, and returns each by its name. The unit tests are `lib`."""
    names = sorted({numbered.mutant.program() for numbered in mutants})
    targets = [word for name in names for word in (["--lib"] if name == "lib" else ["--test", name])]
    cargo = [os.environ.get("CARGO", "cargo"), "test", "--locked", "--no-run", "--message-format", "json", *targets]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(BUILD), "CARGO_INCREMENTAL": "0"}
    done = subprocess.run(cargo, cwd=TREE, env=environment, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode:
        # Mutants cause many warnings, which are of no interest.
        errors = [message["message"] for message in messages if message["reason"] == "compiler-message"]
        sys.exit("".join(error["rendered"] for error in errors if error["level"] == "error") or "cargo has failed")
    tests = [message for message in messages if message.get("executable") and message["profile"]["test"]]
    targets_of = {message["executable"]: message["target"] for message in tests}
    name_of = {path: target["name"] if "test" in target["kind"] else "lib" for path, target in targets_of.items()}
    return {name: pathlib.Path(path) for path, name in name_of.items()}


def run_test(program: pathlib.Path, test: str, number: Optional[int], seconds: float) -> Run:
    """Runs the tests whose names have `test` in them, with a mutant or without one."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if number is not None:
        environment[VARIABLE] = str(number)
    begun = time.monotonic()
    child = subprocess.Popen(
        [program, test],
        cwd=TREE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(timeout=seconds)
        ending = "failed" if child.returncode else "passed"
    except subprocess.TimeoutExpired:
        output, ending = "", "hung"
    finally:
        # What the test has started is in its process group.
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
    return Run(ending, time.monotonic() - begun, output)


def survivors_of(mutants: list[Numbered], programs: dict[str, pathlib.Path]) -> list[tuple[Numbered, Run]]:
    """Runs the test of each mutant: without the mutant, with it, and without it again, as many at once as there are
    processors. Returns the mutants that no test has killed."""
    one_of = {numbered.mutant.test: numbered.mutant for numbered in mutants}
    survivors: list[tuple[Numbered, Run]] = []

    def usual(mutant: Mutant) -> Run:
        # Some tests bound a time, which a busy machine may exceed once.
        runs = (run_test(programs[mutant.program()], mutant.filter(), None, 300) for _ in range(3))
        return next((run for run in runs if run.ending == "passed"), Run("failed thrice", 0, ""))

    def mutated(numbered: Numbered) -> Run:
        number, _, mutant = numbered
        program, most = programs[mutant.program()], 6 + 5 * seconds[mutant.test]
        for _ in range(TRIES):
            run = run_test(program, mutant.filter(), number, most)
            if run.ending == "passed" or run_test(program, mutant.filter(), None, most).ending == "passed":
                return run
        return Run("unclear", run.seconds, run.output)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seconds: dict[str, float] = {}
        for test, run in zip(one_of, pool.map(usual, one_of.values())):
            if run.ending != "passed" or "\nrunning 0 tests" in run.output:
                sys.exit(f"{test}: the test must be there and pass without a mutant, and has {run.ending}")
            seconds[test] = run.seconds
        for numbered, run in zip(mutants, pool.map(mutated, mutants)):
            number, _, mutant = numbered
            ending = {"passed": "SURVIVES", "unclear": "UNCLEAR"}.get(run.ending, run.ending)
            print(f"{number:3}  {ending:8} {run.seconds:5.1f} s  {mutant.file}: {mutant.breaks}", flush=True)
            if run.ending in ("passed", "unclear"):
                survivors.append((numbered, run))
    return survivors


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="list the mutants; nothing is built")
    parser.add_argument("--only", type=int, action="append", metavar="NUMBER", help="run this mutant; may be repeated")
    options = parser.parse_args()
    mutants = all_mutants()
    if options.list:
        print_list(mutants)
        return
    chosen = [numbered for numbered in mutants if not options.only or numbered.number in options.only]
    if not chosen:
        sys.exit(f"--only: there are the mutants 1 to {len(mutants)}, see --list")
    for_root = [numbered for numbered in chosen if numbered.mutant.needs_root and os.geteuid() != 0]
    if for_root:
        print(f"only root can run the tests of the mutants {[numbered.number for numbered in for_root]}")
        chosen = [numbered for numbered in chosen if numbered not in for_root]
    # A mutant that ends its process leaves no core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    begun = time.monotonic()
    copy_tree(mutants)
    link_dependencies()
    programs = build(mutants)
    built = time.monotonic()
    survivors = survivors_of(chosen, programs)
    seconds = f"{built - begun:.0f} s to build, {time.monotonic() - built:.0f} s to run"
    print(f"{len(chosen)} mutants, {len(survivors)} survivors: {seconds}")
    for numbered, run in survivors:
        number, area, mutant = numbered
        how = "survives" if run.ending == "passed" else "fails, as the test does without it:"
        print(f"mutant {number} ({area}) {how} {mutant.test}:")
        print(f"  {numbered.path()}: `{mutant.original}` may be `{mutant.mutated}`")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
