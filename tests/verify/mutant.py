"""What a mutant is, see mutants.py."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """An expression of a file below src/, and what stands in its place.

    `original` must be in the file exactly once. Where it has «», only the part between them is replaced, and the rest
    tells which of several equal expressions is meant.
    """

    file: str
    original: str
    mutated: str
    # What happens with the mutant that must not happen.
    breaks: str
    # The program of the test that must notice, `lib` for the unit tests, and a part of the test's name.
    test: str
    # Whether only root can run the test in full.
    needs_root: bool = False

    def parts(self) -> tuple[str, str, str]:
        """What is before the expression, the expression, and what is after it."""
        before, mark, rest = self.original.partition("«")
        expression, _, after = rest.partition("»")
        return (before, expression, after) if mark else ("", self.original, "")

    def program(self) -> str:
        return self.test.split()[0]

    def filter(self) -> str:
        return self.test.split()[1]


class Numbered(NamedTuple):
    number: int
    area: str
    mutant: Mutant

    def path(self) -> str:
        return f"src/{self.mutant.file}"
