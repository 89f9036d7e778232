"""A fault: a small edit of one source file, and the check that has to find it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Fault:
    """`old` stands once in `file` (a path from the root) and becomes `new`: then `what` is wrong.

    caught_by: the test that finds it, as pytest calls it; a file means any test in it. hole: what the
    tests meant to find it lacked when it was first seeded, for a fault that went unseen until `caught_by` was written.
    """

    name: str
    file: str
    what: str
    old: str
    new: str
    caught_by: str
    hole: str = ""

    def edited(self) -> str:
        """The file with the fault. Raises ValueError where `old` does not stand in it exactly once."""
        text = (ROOT / self.file).read_text(encoding="utf-8")
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f"{self.name}: {self.file} has {self.old!r} {count} times, not once: edit the table")
        return text.replace(self.old, self.new)
