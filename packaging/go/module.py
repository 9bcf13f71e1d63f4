"""Writes the module of bindings/go as Go's module proxies serve it, with libraries and the header in it:

    packaging/go/module.py --libraries DIRECTORY --notices FILE --out DIRECTORY

`GOPROXY=file://<DIRECTORY>` takes it from there, and so does any web server under the address that go.mod names. The
libraries are DIRECTORY/libarawn_<GOOS>_<GOARCH>.a; they are beside the sources, since `go mod vendor` copies no directory that
is not a package. The same inputs make the same bytes. A library without the module's version in it, or one that was put there
before the time of the release, SOURCE_DATE_EPOCH, ends it with an error: it is what an earlier `make dist` has left.
"""

import argparse
import datetime
import json
import os
import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "bindings/go"


def path() -> str:
    return re.search(r"^module (\S+)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)[1]


def version() -> str:
    return "v" + re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


def refuse_stale(libraries: Path) -> None:
    # As arawn_version returns it, a string of C.
    text = version().removeprefix("v").encode() + b"\0"
    for library in sorted(libraries.glob("libarawn_*.a")):
        if text not in library.read_bytes():
            sys.exit(f"{library} is not of version {version()}: remove it, or run `make dist` for its TARGET again")
        if library.stat().st_mtime < int(os.environ["SOURCE_DATE_EPOCH"]):
            sys.exit(f"{library} is older than this release: remove it, or run `make dist` for its TARGET again")


def files(libraries: Path, notices: Path) -> "dict[str, Path]":
    found = {file.name: file for file in [SOURCES / "go.mod", *SOURCES.glob("*.go"), *libraries.glob("libarawn_*.a")]}
    found |= {name: ROOT / name for name in ("LICENSE-APACHE", "LICENSE-MIT")}
    return found | {"arawn.h": ROOT / "include/arawn.h", "THIRD-PARTY-NOTICES.txt": notices}


def main() -> None:
    arguments = argparse.ArgumentParser(description="writes the Go module with the library in it")
    for name in ("libraries", "notices", "out"):
        arguments.add_argument(f"--{name}", type=Path, required=True)
    given = arguments.parse_args()
    refuse_stale(given.libraries)
    directory = given.out / path() / "@v"
    directory.mkdir(parents=True, exist_ok=True)
    made = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    info = {"Version": version(), "Time": made.strftime("%Y-%m-%dT%H:%M:%SZ")}
    (directory / "list").write_text(f"{version()}\n")
    (directory / f"{version()}.info").write_text(json.dumps(info) + "\n")
    (directory / f"{version()}.mod").write_bytes((SOURCES / "go.mod").read_bytes())
    with zipfile.ZipFile(directory / f"{version()}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, file in sorted(files(given.libraries, given.notices).items()):
            # One date, since go ignores dates.
            entry = zipfile.ZipInfo(f"{path()}@{version()}/{name}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes(), compresslevel=6)
    print(directory / f"{version()}.zip")


if __name__ == "__main__":
    main()
