"""What a mutant is, and how it is put into a copy of the code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Edit:
    """One place to change: `old` occurs exactly once in the file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One defect, put back.

    Args:
        name: for the command line and the table in docs/correctness.md.
        what: what goes wrong, in a few words.
        edits: the changes that bring it back.
        tests: node ids, at least one of which must fail.
    """

    name: str
    what: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]

    def apply(self, root: Path) -> None:
        """Change the files below `root`.

        Raises:
            ValueError: an old text is not there exactly once.
        """
        for edit in self.edits:
            path = root / edit.file
            text = path.read_text(encoding="utf-8")
            if text.count(edit.old) != 1:
                message = f"{self.name}: {edit.file} has its old text {text.count(edit.old)} times"
                raise ValueError(message)
            path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
