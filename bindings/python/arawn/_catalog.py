"""The catalog of an executor, and its figures."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from ._types import Registration, StrPath

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._jobs import Job

__all__ = ["Catalog"]


_OPTIONS = frozenset(Registration.__annotations__)


def registration(name: str, path: Optional[StrPath], options: Mapping[str, Any]) -> Dict[str, Any]:
    """The request, without `executor`."""
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise TypeError(f"{unknown[0]!r} is no option of a registration; these are: {', '.join(sorted(_OPTIONS))}")
    entry = {"name": name, **options}
    if path is not None:
        entry["path"] = path
    if "wasm" in entry:
        entry["wasm_base64"] = base64.b64encode(entry.pop("wasm")).decode()
    if sum(source in entry for source in ("path", "wasm_base64", "module_of", "script")) != 1:
        raise TypeError("a runtime is registered from one of `path`, `wasm`, `module_of` and `script`")
    return entry


class Catalog:
    """What an executor has of its catalog."""

    def call(self, function: str, **members: Any) -> Any:
        raise NotImplementedError

    def _submit_registration(self, entry: Dict[str, Any], job: Optional[str]) -> Job:
        raise NotImplementedError

    def register(self, name: str, path: Optional[StrPath] = None, **options: Unpack[Registration]) -> Dict[str, Any]:
        """Adds a runtime and returns what `inspect` shows of it: from a file, from bytes (`wasm=`), as the module of
        another runtime (`module_of=`), or from the text of a script (`script=` and `language=`). The other options are
        the keys of `arawn_catalog_register`. It waits for the compiler."""
        shown: Dict[str, Any] = self.call("catalog_register", **registration(name, path, options))
        return shown

    def submit_registration(
        self, name: str, path: Optional[StrPath] = None, *, job: Optional[str] = None, **options: Unpack[Registration]
    ) -> Job:
        """Begins what `register` does and returns at once; in a coroutine, await the job. `Job.result` is what `inspect`
        shows, and raises what is wrong with the registration."""
        return self._submit_registration(registration(name, path, options), job)

    def remove(self, name: str) -> None:
        """Removes a runtime from the catalog."""
        self.call("catalog_remove", name=name)

    def inspect(self, name: str) -> Dict[str, Any]:
        """Shows a runtime: kind, size, hash, imports, and why a call of it would fail."""
        shown: Dict[str, Any] = self.call("catalog_inspect", name=name)
        return shown

    def list(self) -> List[Dict[str, Any]]:
        """The runtimes that calls may name."""
        runtimes: List[Dict[str, Any]] = self.call("catalog_list")["runtimes"]
        return runtimes

    def stats(self) -> Dict[str, Any]:
        """Figures of the process, and under `executor` of this executor."""
        figures: Dict[str, Any] = self.call("stats")
        return figures
