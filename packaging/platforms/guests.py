"""The guests that packaging/verify-platform runs, as bytes of WebAssembly: no assembler need be there."""

from pathlib import Path
from typing import Dict, Sequence, Tuple

WASI = "wasi_snapshot_preview1"
# Types of functions.
ACTION, TAKES_ONE = b"\x60\0\0", b"\x60\1\x7f\0"
ASKS_TWO, ASKS_FOUR = (b"\x60" + bytes([count]) + b"\x7f" * count + b"\1\x7f" for count in (2, 4))
DROP, LOAD, STORE, DIVIDE, LENGTH, SET_LENGTH = b"\x1a", b"\x28\2\0", b"\x36\2\0", b"\x6d", b"\x20\0", b"\x21\0"
LOOP = b"\3\x40\x0c\0\x0b"
# Of `poll_oneoff`: one subscription to the monotonic clock, for as many nanoseconds as there can be.
SUBSCRIPTION = bytes(16) + b"\1" + bytes(7) + b"\xff" * 8 + bytes(16)


def number(value: int) -> bytes:
    """In LEB128."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + number(rest) if rest else bytes([low])


def const(value: int) -> bytes:
    """Pushes an i32. Five bytes are as many as one takes, and its sign is in the last."""
    parts = [value >> shift & 0x7F for shift in (0, 7, 14, 21, 28)]
    return b"\x41" + bytes([part | 0x80 for part in parts[:4]] + parts[4:])


def call(function: int, *operands: bytes) -> bytes:
    return b"".join(operands) + b"\x10" + number(function)


def vector(*items: bytes) -> bytes:
    return number(len(items)) + b"".join(items)


def sized(content: bytes) -> bytes:
    return number(len(content)) + content


def section(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + sized(content)


def module(
    body: bytes, imports: "Sequence[Tuple[str, str, bytes]]" = (), data: "Dict[int, bytes] | None" = None
) -> bytes:
    """A module whose functions are its imports and, after those, `_start`, which has a local."""
    imported = [
        sized(of.encode()) + sized(name.encode()) + b"\0" + number(at + 1) for at, (of, name, _) in enumerate(imports)
    ]
    exports = [sized(b"memory") + b"\2\0", sized(b"_start") + b"\0" + number(len(imports))]
    parts = [
        section(1, vector(ACTION, *(kind for _, _, kind in imports))),
        section(2, vector(*imported)),
        section(3, vector(b"\0")),
        section(5, vector(b"\0\x40")),  # 64 pages
        section(7, vector(*exports)),
        section(10, vector(sized(vector(b"\1\x7f") + body + b"\x0b"))),
        section(11, vector(*(b"\0" + const(at) + b"\x0b" + sized(content) for at, content in (data or {}).items()))),
    ]
    return b"\0asm\1\0\0\0" + b"".join(parts)


def asker(function: bytes) -> bytes:
    """Asks a function of the host, and answers its reply as the output: `asker` of tests/common/mod.rs."""
    imports = [("arawn", "host_call", ASKS_FOUR), ("arawn", "host_reply", ASKS_TWO), (WASI, "fd_write", ASKS_FOUR)]
    request, before, after = b"[1,2,3]", b'{"status":"ok","output":', b"}"

    def put(at: int, length: bytes) -> bytes:
        place = const(0) + const(at) + STORE + const(4) + length + STORE
        return place + call(2, const(1), const(0), const(1), const(8)) + DROP

    body = call(0, const(128), const(len(function)), const(1024), const(len(request))) + SET_LENGTH
    body += put(32, const(len(before))) + call(1, const(65536), const(4_000_000)) + DROP
    body += put(65536, LENGTH) + put(64, const(len(after)))
    return module(body, imports, {32: before, 64: after, 128: function, 1024: request})


TRAPS = {
    "bounds": const(-8) + LOAD + DROP,
    # Alone in its function, it would be there twice: before and after the check of the deadline.
    "unreachable": const(32) + LOAD + DROP + b"\0",
    "division": const(1) + const(32) + LOAD + DIVIDE + DROP,
    "recursion": call(0),
}


def write(directory: Path) -> None:
    """A catalog of all of them."""
    modules = {name: module(body) for name, body in TRAPS.items()}
    modules["loop"] = module(LOOP)
    sleep = call(0, const(1024), const(2048), const(1), const(3072)) + DROP
    modules["sleep"] = module(sleep, [(WASI, "poll_oneoff", ASKS_FOUR)], {1024: SUBSCRIPTION})
    modules["exit"] = module(call(0, const(3)), [(WASI, "proc_exit", TAKES_ONE)])
    modules.update((f"ask-{function}", asker(function.encode())) for function in ("count", "frame"))
    (directory / "custom").mkdir(parents=True)
    for name, content in modules.items():
        (directory / f"custom/{name}.wasm").write_bytes(content)
    entries = [f'[runtimes.{name}]\npath = "custom/{name}.wasm"\n' for name in modules]
    (directory / "catalog.toml").write_text("".join(entries))
