"""Writes a software bill of materials, CycloneDX 1.5 in JSON, of what a release has in it:

    packaging/dist/sbom.py --target TARGET [--program] --out sbom.cdx.json FILE...

It lists the crates that the library links, or the program with --program, Rust's standard library, the embedded runtimes and
the crates in those; of a file for musl also the unwinder, and of a program for musl the C library. FILE are the libraries or the
program themselves, whose sums tie the list to them, and beside which packaging/build-for has noted what built them. The same
inputs make the same bytes: the time is that of SOURCE_DATE_EPOCH, and the serial number is made from the content.
"""

import argparse
import datetime
import hashlib
import json
import os
import uuid
from pathlib import Path

import crates
from crates import ROOT, Crate


def purl(crate: Crate) -> str:
    # `pkg:cargo` would name the crates that others have published under the same names.
    kind = "generic/libarawn" if crate.is_own else "cargo"
    return f"pkg:{kind}/{crate.name}@{crate.version}"


def sha256(path: Path) -> "list[dict]":
    return [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}]


def component(crate: Crate) -> dict:
    shown = {
        "type": "library",
        "bom-ref": purl(crate),
        "name": crate.name,
        "version": crate.version,
        "licenses": [{"expression": crate.license}],
        "purl": purl(crate),
    }
    if crate.sha256:
        shown["hashes"] = [{"alg": "SHA-256", "content": crate.sha256}]
    elif not crate.is_own:
        changed = crate.directory.relative_to(ROOT) / "README.md"
        shown["pedigree"] = {"notes": f"Changed, as {changed} of libarawn's repository says"}
    if crate.repository:
        shown["externalReferences"] = [{"type": "vcs", "url": crate.repository}]
    return shown


def standard_library(version: str) -> dict:
    reference = f"pkg:generic/rust-std@{version}"
    return {
        "type": "library",
        "bom-ref": reference,
        "name": "rust-std",
        "version": version,
        "description": "Rust's standard library with the crates that it contains",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
        "purl": reference,
    }


def wasi_libc() -> dict:
    """Which version is that of the toolchain which made runtimes/prebuilt, see runtimes/README.md."""
    return {
        "type": "library",
        "bom-ref": "pkg:generic/wasi-libc",
        "name": "wasi-libc",
        "description": "The C library in the embedded runtimes",
        "licenses": [{"expression": "(Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT) AND MIT"}],
        "purl": "pkg:generic/wasi-libc",
    }


def contained(part: crates.Contained) -> dict:
    """Which version is that of the toolchain which the description names."""
    reference = f"pkg:generic/{part.name}"
    return {
        "type": "library",
        "bom-ref": reference,
        "name": part.name,
        "description": part.description,
        "licenses": [{"expression": part.license}],
        "purl": reference,
    }


def module(runtime: str) -> dict:
    path = f"runtimes/prebuilt/{runtime}.wasm"
    return {"type": "file", "bom-ref": path, "name": path, "hashes": sha256(ROOT / path)}


def document(target: str, files: "list[Path]", is_program: bool = False) -> dict:
    package, name = ("arawn-cli", "arawn") if is_program else ("arawn", "libarawn")
    linked = crates.linked(ROOT, [package], target)
    runtimes = crates.embedded()
    (own,) = [crate for crate in linked.values() if crate.name == package]
    every = [crate for crate in crates.merged(linked, *runtimes.values()) if crate.key != own.key]
    built = crates.toolchain(files[0] if files else None)
    std, libc = standard_library(built.rustc), wasi_libc()
    of_platform = [contained(part) for part in crates.contained(target, is_program, built)]
    modules = {runtime: module(runtime) for runtime in runtimes}
    subject = {
        **component(own),
        "type": "application" if is_program else "library",
        "name": name,
        "components": [{"type": "file", "name": path.name, "hashes": sha256(path)} for path in files],
        "properties": [{"name": "target", "value": target}],
    }
    names = {crate.key: purl(crate) for crate in every}
    graph = {purl(crate): [names[key] for key in crate.dependencies] for crate in every}
    graph |= {shown["bom-ref"]: [] for shown in (std, libc, *of_platform)}
    for runtime, within in runtimes.items():
        graph[modules[runtime]["bom-ref"]] = [libc["bom-ref"], *map(purl, within.values())]
    graph[purl(own)] = [*(names[key] for key in own.dependencies), *(shown["bom-ref"] for shown in (std, *of_platform, *modules.values()))]
    made = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "packaging/dist/sbom.py", "version": own.version}]},
            "component": subject,
        },
        "components": [*map(component, every), std, libc, *of_platform, *modules.values()],
        "dependencies": [{"ref": name, "dependsOn": sorted(graph[name])} for name in sorted(graph)],
    }
    content = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))
    return {**bom, "serialNumber": f"urn:uuid:{content}"}


def main() -> None:
    arguments = argparse.ArgumentParser(description="writes a CycloneDX SBOM")
    arguments.add_argument("--target", required=True, help="Rust's name of the platform")
    arguments.add_argument("--program", action="store_true", help="of the program arawn")
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("files", type=Path, nargs="*")
    given = arguments.parse_args()
    given.out.write_text(json.dumps(document(given.target, given.files, given.program), indent=1) + "\n")


if __name__ == "__main__":
    main()
