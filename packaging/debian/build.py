"""Builds Debian packages from what `make install` has put below a directory, with dpkg-deb:

    packaging/debian/build.py --stage DIRECTORY --documents DIRECTORY --target TARGET --maintainer 'NAME <ADDRESS>' --out DIRECTORY

libarawn0 has the shared library, libarawn-dev all else; with --program there is `arawn` too, with what its documents have:
manual pages, completions, licences and an SBOM. What they depend on is read from
the files. The same inputs make the same bytes, and the time in them is SOURCE_DATE_EPOCH.
"""

import argparse
import email.utils
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "packaging/dist"))

import elf  # noqa: E402

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "riscv64gc": "riscv64", "s390x": "s390x"}
# Of the packaging, for one version of libarawn.
REVISION = 1


def version() -> str:
    return re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


def fill(template: str, values: "dict[str, str]") -> str:
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], template)


def depends(file: Path) -> str:
    """The Debian packages that have what a file needs, no newer than it needs them."""
    needed = elf.needs(file)
    others = [name for name in needed.libraries if not elf.OF_GLIBC.fullmatch(name) and name != "libgcc_s.so.1"]
    if others:
        sys.exit(f"{file} needs {', '.join(others)}, whose package is not known here")
    packages = [f"libc6 (>= {elf.dotted(needed.glibc)})" if needed.glibc else "libc6"]
    if "libgcc_s.so.1" in needed.libraries:
        packages.append(f"libgcc-s1 (>= {elf.dotted(needed.gcc)})" if needed.gcc else "libgcc-s1")
    return ", ".join(packages)


def put(path: Path, content: "str | bytes") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def put_packed(path: Path, content: bytes) -> None:
    put(path, gzip.compress(content, 9, mtime=0))


def linker_files(root: Path, package: str, library: Path, full_version: str) -> None:
    """What dpkg-shlibdeps reads of a library, and what makes dpkg run ldconfig."""
    name, abi = re.fullmatch(r"(.+)\.so\.(\d+)", elf.soname(library)).groups()
    upstream = full_version.rsplit("-", 1)[0]
    put(root / "DEBIAN/shlibs", f"{name} {abi} {package} (>= {upstream})\n")
    # Which version has brought which symbol is not recorded: this one has them all.
    symbols = "".join(f" {symbol}@Base {upstream}\n" for symbol in elf.exported(library))
    put(root / "DEBIAN/symbols", f"{name}.so.{abi} {package} #MINVER#\n{symbols}")
    put(root / "DEBIAN/triggers", "activate-noawait ldconfig\n")


def documents(root: Path, package: str, papers: "dict[str, bytes]", values: "dict[str, str]") -> None:
    directory = root / "usr/share/doc" / package
    values = {**values, "MIT": (ROOT / "LICENSE-MIT").read_text()}
    put(directory / "copyright", fill((HERE / "copyright.in").read_text(), values))
    put_packed(directory / "changelog.gz", (ROOT / "CHANGELOG.md").read_bytes())
    date = email.utils.formatdate(int(os.environ["SOURCE_DATE_EPOCH"]))
    entry = f"  * Version {version()}, see changelog.gz.\n\n -- {values['MAINTAINER']}  {date}\n"
    put_packed(
        directory / "changelog.Debian.gz",
        f"libarawn ({values['VERSION']}) unstable; urgency=medium\n\n{entry}".encode(),
    )
    for name, content in papers.items():
        put_packed(directory / f"{name}.gz", content)


def share(source: Path, destination: Path) -> None:
    """The program's manual pages, packed as Debian has them, and its completions, where Debian's shells look."""
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        name = path.relative_to(source)
        if name.parts[0] == "man":
            put_packed(destination / f"{name}.gz", path.read_bytes())
        elif name.parts[:2] == ("zsh", "site-functions"):
            put(destination / "zsh/vendor-completions" / name.name, path.read_bytes())
        else:
            put(destination / name, path.read_bytes())


def settle(root: Path, executable: "set[str]") -> None:
    """Gives everything the modes that Debian wants, and the one time."""
    moment = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or str(path.relative_to(root)) in executable else 0o644)
        os.utime(path, (moment, moment), follow_symlinks=False)


def build(root: Path, control: str, given: argparse.Namespace, executable: "set[str]") -> Path:
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    contents = [path for path in files if path.relative_to(root).parts[0] != "DEBIAN"]
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in contents]
    put(root / "DEBIAN/md5sums", "".join(sums))
    # In KiB, each file rounded up, as policy says.
    size = sum(-(-path.stat().st_size // 1024) for path in contents)
    stanza = control.replace("\nDepends:", f"\nInstalled-Size: {size}\nDepends:")
    put(root / "DEBIAN/control", stanza + "\n")
    settle(root, executable)
    fields = dict(line.split(": ", 1) for line in stanza.splitlines() if not line.startswith(" "))
    out = given.out / f"{fields['Package']}_{fields['Version']}_{fields['Architecture']}.deb"
    # One thread: how many there are shows in what xz makes.
    environment = {**os.environ, "DPKG_DEB_THREADS_MAX": "1"}
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, out]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return out


def main() -> None:
    arguments = argparse.ArgumentParser(description="builds Debian packages")
    for name in ("stage", "documents", "out"):
        arguments.add_argument(f"--{name}", type=Path, required=True)
    arguments.add_argument("--target", required=True, help="Rust's name of the platform")
    arguments.add_argument("--maintainer", required=True)
    arguments.add_argument("--program", type=Path)
    arguments.add_argument("--program-documents", type=Path, help="with --program")
    given = arguments.parse_args()
    architecture = ARCHITECTURES.get(given.target.split("-")[0])
    if architecture is None or not given.target.endswith("-linux-gnu"):
        sys.exit(f"Debian has no architecture for {given.target}: {', '.join(sorted(ARCHITECTURES))} with -linux-gnu")
    (library,) = given.stage.glob("usr/lib/*/libarawn.so.*.*")
    values = {
        "ABI": elf.soname(library).rsplit(".", 1)[1],
        "VERSION": f"{version()}-{REVISION}",
        "ARCHITECTURE": architecture,
        "MAINTAINER": given.maintainer,
        "LIBRARY_NEEDS": depends(library),
        "PROGRAM_NEEDS": depends(given.program) if given.program else "",
    }
    controls = fill((HERE / "control.in").read_text(), values).strip().split("\n\n")
    shared, development, program = (given.stage.with_name(f"deb-{name}") for name in ("shared", "dev", "program"))
    for root in (shared, development, program):
        shutil.rmtree(root, ignore_errors=True)
    # The links that the dynamic linker follows; libarawn.so alone is the one that compilers take.
    lib = library.parent.relative_to(given.stage)
    shutil.copytree(given.stage, development, symlinks=True)
    (shared / lib).mkdir(parents=True)
    for path in sorted((development / lib).glob("libarawn.so.*")):
        path.rename(shared / lib / path.name)
    package = f"libarawn{values['ABI']}"
    # Packages for several processors are installed together, and share no file that differs.
    papers = {
        f"third-party-notices.{architecture}": (given.documents / "THIRD-PARTY-NOTICES.txt").read_bytes(),
        f"sbom.{architecture}.cdx.json": (given.documents / "sbom.cdx.json").read_bytes(),
    }
    rust = given.documents / "COPYRIGHT-rust-library.html"
    of_rust = {"rust-library-notices.html": rust.read_bytes()} if rust.exists() else {}
    linker_files(shared, package, library, values["VERSION"])
    documents(shared, package, papers | of_rust, values)
    (development / "usr/share/doc").mkdir(parents=True)
    (development / "usr/share/doc/libarawn-dev").symlink_to(package)
    built = [(shared, controls[0], set()), (development, controls[1], set())]
    if given.program:
        (program / "usr/bin").mkdir(parents=True)
        shutil.copy(given.program, program / "usr/bin/arawn")
        own = given.program_documents
        share(own / "share", program / "usr/share")
        papers = {
            f"third-party-notices.{architecture}": (own / "THIRD-PARTY-NOTICES.txt").read_bytes(),
            f"sbom.{architecture}.cdx.json": (own / "sbom.cdx.json").read_bytes(),
        }
        documents(program, "arawn", papers | of_rust, values)
        built.append((program, controls[2], {"usr/bin/arawn"}))
    for root, control, executable in built:
        print(build(root, control, given, executable))


if __name__ == "__main__":
    main()
