"""Packs a directory, the same files into the same bytes:

    packaging/dist/archive.py DIRECTORY OUT.tar.gz

adds SHA256SUMS to the directory. Names are sorted, owners are root, the time is that of SOURCE_DATE_EPOCH, and of the modes
only whether a file may be run is kept, so that neither the user nor the umask shows.
"""

import gzip
import hashlib
import os
import sys
import tarfile
from pathlib import Path


def write_sums(directory: Path) -> None:
    sums = directory / "SHA256SUMS"
    sums.unlink(missing_ok=True)
    files = sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(directory)}\n" for path in files]
    sums.write_text("".join(lines))


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = int(os.environ["SOURCE_DATE_EPOCH"])
    entry.mode = 0o777 if entry.issym() else 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def pack(directory: Path, out: Path) -> None:
    with out.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path in [directory, *sorted(directory.rglob("*"))]:
                archive.add(path, path.relative_to(directory.parent), recursive=False, filter=plain)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("archive.py DIRECTORY OUT.tar.gz")
    directory, out = map(Path, sys.argv[1:])
    write_sums(directory)
    pack(directory, out)


if __name__ == "__main__":
    main()
