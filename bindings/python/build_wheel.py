"""Builds wheels of this package, with the standard library of Python 3.9 or newer alone.

    python3 build_wheel.py --library target/wheel/libarawn.so --out dist

makes arawn-VERSION-py3-none-manylinux_2_28_x86_64.whl with the library in it. `--target aarch64-unknown-linux-musl`, which is
Rust's name of a platform, makes one for musllinux_1_2_aarch64. Before that it checks that the library needs nothing which the
name of the platform does not promise: no newer glibc, no other libraries. It takes `readelf`, and cargo with the sources of the
crates that the library links, for their licenses.

pip uses this file too (see pyproject.toml): `pip install DIRECTORY` installs the package without the library.
"""

import argparse
import ast
import base64
import hashlib
import io
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_(\w+)")
MUSLLINUX = re.compile(r"musllinux_\d+_\d+_\w+")
# What each Linux has that takes wheels of manylinux, and of musllinux, of those that the library may need.
LIBRARIES = re.compile(r"(libc|libm|libdl|librt|libpthread|libutil|libgcc_s|ld-linux-[\w-]+)\.so\.\d+")
MUSL_LIBRARIES = re.compile(r"libc\.so|libc\.musl-\w+\.so\.1")
MACHINES = {3: "i686", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
# The oldest of each C library that the library runs with, by the ends of Rust's names.
OLDEST = {"gnu": "manylinux_2_28", "musl": "musllinux_1_2"}
# Where the sources of a checkout are, licenses of what the library contains.
CONTAINED = {"LICENSE-QUICKJS": "runtimes/javascript/LICENSE", "LICENSE-LUA": "runtimes/lua/LICENSE"}
# All of what the library contains, those two among it, as in a release archive.
NOTICES = "THIRD-PARTY-NOTICES.txt"


def project() -> dict:
    """The table `project` of pyproject.toml. Python has a reader of TOML from 3.11 on; the strings and arrays of strings in this
    table are written as Python's own."""
    _, _, table = (HERE / "pyproject.toml").read_text().partition("\n[project]\n")
    table, _, _ = table.partition("\n[")
    pairs = re.findall(r'^([\w-]+) = (".*?"|\[.*?\])$', table, re.MULTILINE | re.DOTALL)
    return {key: ast.literal_eval(value) for key, value in pairs}


def metadata(licenses: "list[str]") -> str:
    about = project()
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {about['name']}",
        f"Version: {about['version']}",
        f"Summary: {about['description']}",
        f"Keywords: {','.join(about['keywords'])}",
        f"License-Expression: {about['license']}",
        *(f"License-File: {name}" for name in licenses),
        *(f"Classifier: {classifier}" for classifier in about["classifiers"]),
        f"Requires-Python: {about['requires-python']}",
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(lines) + "\n\n" + (HERE / about["readme"]).read_text()


def default_platform() -> str:
    return f"manylinux_2_28_{platform.machine()}"


def platform_of(target: str) -> str:
    """The platform's name in a wheel, from Rust's."""
    named = re.fullmatch(r"(\w+?)(?:gc)?-unknown-linux-(gnu|musl)", target)
    if named is None:
        raise argparse.ArgumentTypeError(f"{target} is no Linux with glibc or musl")
    return f"{OLDEST[named[2]]}_{named[1]}"


def target_of(tag: str) -> str:
    """Rust's name of a platform, from its name in a wheel."""
    machine = re.sub(r"^(manylinux|musllinux)_\d+_\d+_|^linux_", "", tag).replace("riscv64", "riscv64gc")
    return f"{machine}-unknown-linux-{'musl' if tag.startswith('musllinux') else 'gnu'}"


def notices(library: Path, tag: str) -> bytes:
    """The licenses of all that a library for a platform contains."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / NOTICES
        script = HERE.parents[1] / "packaging/dist/notices.py"
        command = [sys.executable, "-B", script, "--target", target_of(tag), "--package", "arawn", "--out", out, library]
        if subprocess.run(command).returncode != 0:
            sys.exit(f"{script} cannot tell the licenses of what the library contains")
        return out.read_bytes()


def numbers(version: str) -> tuple:
    return tuple(int(number) for number in version.split("."))


def check(library: Path, tag: str) -> None:
    """Ends with what the platform's name does not promise."""
    named = MANYLINUX.fullmatch(tag)
    with library.open("rb") as file:
        header = file.read(20)
    machine = MACHINES.get(int.from_bytes(header[18:20], "little"))
    if header[:4] != b"\x7fELF" or (machine and not tag.endswith(f"_{machine}")):
        sys.exit(f"{library} is no library for {tag}")
    allowed = LIBRARIES if named else MUSL_LIBRARIES
    if named is None and MUSLLINUX.fullmatch(tag) is None:
        return
    command = ["readelf", "--wide", "--dynamic", "--version-info", str(library)]
    shown = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "LC_ALL": "C"}
    ).stdout
    bound = (int(named[1]), int(named[2])) if named else (0, 0)
    needed = set(re.findall(r"\bGLIBC_(\d+(?:\.\d+)+)", shown))
    newer = sorted((version for version in needed if numbers(version) > bound), key=numbers)
    if newer:
        promised = f"promises no more than {bound[0]}.{bound[1]}: `make wheel`" if named else "promises none"
        sys.exit(f"{library} needs glibc {newer[-1]}, and {tag} {promised}")
    other = [name for name in re.findall(r"\(NEEDED\).*\[(.+?)\]", shown) if not allowed.fullmatch(name)]
    if other:
        sys.exit(f"{library} needs {', '.join(other)}, which {tag} does not promise")


def package() -> "list[tuple[str, bytes]]":
    files = [path for path in sorted((HERE / "arawn").iterdir()) if path.suffix == ".py" or path.name == "py.typed"]
    return [(f"arawn/{path.name}", path.read_bytes()) for path in files]


def write(directory: Path, library: "Path | None", tag: str) -> str:
    about = project()
    base = f"{about['name']}-{about['version']}"
    info = f"{base}.dist-info"
    files = package()
    licenses = {name: (HERE / name).read_bytes() for name in about["license-files"]}
    if library is not None:
        files.append(("arawn/libarawn.so", library.read_bytes()))
        licenses.update((name, (HERE.parents[1] / path).read_bytes()) for name, path in CONTAINED.items())
        licenses[NOTICES] = notices(library, tag)
    files += [(f"{info}/licenses/{name}", text) for name, text in licenses.items()]
    is_pure = str(library is None).lower()
    wheel = f"Wheel-Version: 1.0\nGenerator: build_wheel\nRoot-Is-Purelib: {is_pure}\nTag: py3-none-{tag}\n"
    files += [(f"{info}/METADATA", metadata(list(licenses)).encode()), (f"{info}/WHEEL", wheel.encode())]
    rows = [f"{name},sha256={digest(content)},{len(content)}\n" for name, content in files]
    files.append((f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]).encode()))
    name = f"{base}-py3-none-{tag}.whl"
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(directory / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files:
            # One date, so that the same files make the same wheel.
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100755 if path.endswith(".so") else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return name


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def build_wheel(wheel_directory: str, config_settings: object = None, metadata_directory: object = None) -> str:
    """What pip calls."""
    return write(Path(wheel_directory), None, "any")


def build_sdist(sdist_directory: str, config_settings: object = None) -> str:
    """What `python3 -m build` calls."""
    about = project()
    base = f"{about['name']}-{about['version']}"
    files = [*package(), ("PKG-INFO", metadata(about["license-files"]).encode())]
    files += [(path.name, path.read_bytes()) for path in sorted(HERE.iterdir()) if path.is_file()]
    Path(sdist_directory).mkdir(parents=True, exist_ok=True)
    with tarfile.open(Path(sdist_directory) / f"{base}.tar.gz", "w:gz") as archive:
        for name, content in files:
            entry = tarfile.TarInfo(f"{base}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return f"{base}.tar.gz"


def main() -> None:
    arguments = argparse.ArgumentParser(description="builds a wheel that contains the library")
    arguments.add_argument("--library", type=Path, required=True, help="the file of libarawn.so")
    on = arguments.add_mutually_exclusive_group()
    on.add_argument("--platform", default=default_platform(), help="what the library runs on: %(default)s")
    on.add_argument("--target", type=platform_of, help="Rust's name of that, such as aarch64-unknown-linux-musl")
    arguments.add_argument("--out", type=Path, default=Path("dist"), help="a directory: %(default)s")
    given = arguments.parse_args()
    tag = given.target or given.platform
    check(given.library, tag)
    print(given.out / write(given.out, given.library, tag))


if __name__ == "__main__":
    main()
