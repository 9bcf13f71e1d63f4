"""The two sides of packaging/verify-platform: the library of this system, and the one for another platform."""

import contextlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator, List

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target/tools"
ZIG = TOOLS / "zig/bin/python"
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1"]
MUSL_FOR = {"aarch64": "arm64", "x86_64": "amd64"}


class Failed(Exception):
    pass


def machine_of(target: str) -> str:
    return target.split("-")[0]


def is_musl(target: str) -> bool:
    return target.endswith("-musl")


def is_foreign(target: str) -> bool:
    return machine_of(target) != platform.machine()


def root_of(target: str) -> Path:
    """What has at `lib` what a program of that platform takes: the dynamic linker and libc."""
    machine = machine_of(target)
    return TOOLS / f"musl-{MUSL_FOR[machine]}" if is_musl(target) else Path(f"/usr/{machine}-linux-gnu")


def linker_of(target: str) -> str:
    return f"ld-musl-{machine_of(target)}.so.1" if is_musl(target) else f"ld-linux-{machine_of(target)}.so.1"


def zig() -> "list[str]":
    return shlex.split(os.environ.get("ZIG", f"{ZIG} -m ziglang"))


def missing(target: str) -> "tuple[List[str], List[List[str]]]":
    """The packages that trying a library for a platform takes and this system lacks, and commands that get what needs none."""
    machine = machine_of(target)
    linker = f"lib/{linker_of(target)}"
    packages = []
    if is_foreign(target) and not shutil.which(f"qemu-{machine}"):
        packages.append("qemu-user")
    if is_foreign(target) and not is_musl(target) and not shutil.which(f"{machine}-linux-gnu-gcc"):
        packages.append(f"gcc-{machine.replace('_', '-')}-linux-gnu")
    if is_musl(target) and not is_foreign(target) and not Path("/", linker).exists():
        packages.append("musl")
    commands: "List[List[str]]" = []
    if is_musl(target) and is_foreign(target) and not (root_of(target) / linker).exists():
        commands.append(["packaging/platforms/get-musl", MUSL_FOR[machine], str(root_of(target))])
    if is_musl(target) and "ZIG" not in os.environ and not ZIG.exists():
        commands.append(["make", "--silent", str(ZIG.relative_to(ROOT))])
    return packages, commands


def provide(target: str, install: bool) -> None:
    """Ends with the packages that are missing, or installs them, and gets what needs no package."""
    packages, commands = missing(target)
    if packages and install and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        command = ["apt-get", "install", "-qq", "--no-install-recommends", *packages]
        subprocess.run(command, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    elif packages:
        sys.exit(f"missing: apt install {' '.join(packages)}, or your system's like")
    for command in commands:
        subprocess.run(command, check=True, cwd=ROOT)


def compiler_of(target: str) -> "list[str]":
    machine = machine_of(target)
    if is_musl(target):
        return [*zig(), "cc", "-target", f"{machine}-linux-musl", "-dynamic", "-fno-sanitize=undefined"]
    return [f"{machine}-linux-gnu-gcc"] if is_foreign(target) else [os.environ.get("CC", "cc")]


def runner_of(target: str, directory: Path) -> "list[str]":
    """What comes before a program for a platform, which finds libraries in a directory."""
    if not is_foreign(target):
        return []
    # Not with -L, by which qemu shows that directory to a program that opens `/`.
    libraries = root_of(target) / "lib"
    linker = str(libraries / linker_of(target))
    return [f"qemu-{machine_of(target)}", linker, "--library-path", f"{directory}:{libraries}"]


class Side:
    """A library, the C compiler that makes programs for it, and what runs them."""

    def __init__(self, name: str, library: Path, compiler: "list[str]", runner: "list[str]", work: Path):
        self.name, self.compiler, self.runner = name, compiler, runner
        self.directory = work / name
        self.directory.mkdir()
        # Programs ask for the name that has the ABI's number.
        abi = re.search(r'^version = "(\d+)\.', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
        self.library = self.directory / f"libarawn.so.{abi}"
        self.library.symlink_to(library)
        self.archive = library.with_name("libarawn.a")

    def compile(self, program: str) -> Path:
        out = self.directory / program
        if not out.exists():
            include = ["-I", str(ROOT / "include"), str(ROOT / f"tests/c/{program}.c")]
            self.run([*self.compiler, *STRICT, *include, "-o", str(out), str(self.library), "-pthread"])
        return out

    def link(self, source: str, *words: str) -> Path:
        """A program with the static library in it."""
        out = self.directory / Path(source).stem
        system = [word for word in (ROOT / "tests/golden/link.txt").read_text().split() if word != "-lgcc_s"]
        linked = ["-I", str(ROOT / "include"), str(ROOT / source), "-o", str(out), str(self.archive), *words, *system]
        self.run([*self.compiler, *STRICT, *linked])
        return out

    def run(self, command: "list[str]", **options) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LC_ALL": "C"}
        environment["LD_LIBRARY_PATH"] = str(self.directory)
        output = subprocess.run(command, text=True, capture_output=True, env=environment, timeout=900, **options)
        if output.returncode != 0:
            raise Failed(f"{shlex.join(command)} ended with {output.returncode}\n{output.stdout}{output.stderr}")
        return output.stdout

    def program(self, program: str, *words: str) -> str:
        return self.run([*self.runner, str(self.compile(program)), *words])

    def calls(self, *calls: "tuple[str, object]", **options: object) -> "list[str]":
        """The replies of a new process, which has been configured with these options."""
        # The address space of a large pool is more than an emulator has.
        calls = (("arawn_configure", {"pool_slots": 8, **options}), *calls)
        lines = "".join(f"{name} {json.dumps(argument, separators=(',', ':'))}\n" for name, argument in calls)
        replies = self.run([*self.runner, str(self.compile("driver"))], input=lines).splitlines()
        if len(replies) != len(calls):
            raise Failed(f"{len(replies)} replies to {len(calls)} calls: {replies}")
        return replies[1:]

    def timed(self, *calls: "tuple[str, object]") -> "tuple[float, list[str]]":
        """How many milliseconds a new process takes, with its start and its end, and its replies."""
        self.compile("driver")
        begun = time.monotonic()
        replies = self.calls(*calls)
        return (time.monotonic() - begun) * 1000, replies


@contextlib.contextmanager
def both(host_library: Path, target: str, library: Path) -> "Iterator[tuple[Side, Side]]":
    with tempfile.TemporaryDirectory(prefix="verify-platform-") as directory:
        # As a reply says it.
        work = Path(directory).resolve()
        host = Side("host", host_library, [os.environ.get("CC", "cc")], [], work)
        yield host, Side(target, library, compiler_of(target), runner_of(target, work / target), work)
