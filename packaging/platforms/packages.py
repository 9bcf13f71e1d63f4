"""What packaging/verify-packages tries of a package: the library in it, and the add-on where there is one."""

import json
import os
import re
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from dist import elf

from . import sides

LOADER = r"""
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **paths)
{
    const char *(*version)(void);
    void *library = dlopen(paths[1], RTLD_NOW), *addon = NULL;
    if (library == NULL || (count > 2 && (addon = dlopen(paths[2], RTLD_NOW)) == NULL)) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    if (addon != NULL && dlsym(addon, "napi_register_module_v1") == NULL) {
        fprintf(stderr, "%s is no add-on of Node.js\n", paths[2]);
        return 1;
    }
    *(void **)&version = dlsym(library, "arawn_version");
    if (version == NULL) {
        fprintf(stderr, "%s has no arawn_version\n", paths[1]);
        return 1;
    }
    puts(version());
    return 0;
}
"""


class Package:
    """Unpacked into a directory: the library, the add-on where there is one, and what the package promises."""

    def __init__(self, path: Path, glibc: "tuple[int, ...]", directory: Path):
        try:
            if path.suffix == ".whl":
                self.unpack_wheel(path, directory)
            else:
                self.unpack_npm(path, glibc, directory)
        except (OSError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise sides.Failed(f"it is no such package: {error}") from None

    def unpack_wheel(self, path: Path, directory: Path) -> None:
        with zipfile.ZipFile(path) as wheel:
            self.library, self.addon = Path(wheel.extract("arawn/libarawn.so", directory)), None
        self.version, tag = re.fullmatch(r"arawn-([^-]+)-py3-none-(\S+)", path.stem).groups()
        promised = re.match(r"manylinux_(\d+)_(\d+)_", tag)
        self.glibc = (int(promised[1]), int(promised[2])) if promised else ()

    def unpack_npm(self, path: Path, glibc: "tuple[int, ...]", directory: Path) -> None:
        with tarfile.open(path) as package:
            files = {name: package.extractfile(f"package/{name}").read() for name in ("libarawn.so.0", "arawn.node")}
            self.version = json.load(package.extractfile("package/package.json"))["version"]
        for name, content in files.items():
            (directory / name).write_bytes(content)
        self.library, self.addon, self.glibc = directory / "libarawn.so.0", directory / "arawn.node", glibc

    @property
    def files(self) -> "list[Path]":
        return [self.library, self.addon] if self.addon else [self.library]


def of_node(addon: Path) -> "list[str]":
    """The functions that Node.js has for an add-on, of those that the add-on calls."""
    rows = [line.split() for line in elf.readelf(addon, "--dyn-syms").splitlines()]
    names = {row[7].split("@")[0] for row in rows if len(row) >= 8 and row[6] == "UND"}
    return sorted(name for name in names if re.match("napi_|uv_", name))


def command(words: "list[str]") -> str:
    environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    output = subprocess.run(words, text=True, capture_output=True, env=environment, timeout=300)
    if output.returncode != 0:
        raise sides.Failed(f"{words[0]} ended with {output.returncode}: {output.stdout}{output.stderr}")
    return output.stdout


def load(target: str, package: Package, directory: Path) -> None:
    """By a program that has, for the add-on, functions with the names of those of Node.js."""
    source, program = directory / "loader.c", directory / "loader"
    stubs = [
        f"void {name}(void);\nvoid {name}(void) {{}}\n" for name in (of_node(package.addon) if package.addon else [])
    ]
    source.write_text(LOADER + "".join(stubs))
    command([*sides.compiler_of(target), *sides.STRICT, "-o", str(program), str(source), "-rdynamic", "-ldl"])
    said = command([*sides.runner_of(target, directory), str(program), *map(str, package.files)]).strip()
    if said != package.version:
        raise sides.Failed(f"the library says that it is {said}, and the package that it is {package.version}")


def run(target: str, glibc: "tuple[int, ...]", path: Path, is_loaded: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="verify-packages-") as name:
        directory = Path(name)
        package = Package(path, glibc, directory)
        for file in package.files:
            why = elf.problem(file, target, package.glibc)
            if why:
                raise sides.Failed(why)
        if is_loaded:
            load(target, package, directory)
