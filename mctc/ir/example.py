"""An example of an op: what its page shows, and what every target is tried with."""

from __future__ import annotations

from typing import NamedTuple

X = "f32[batch B, time T, channel 8]"
FEATURES = "f32[batch B, time T, feature 4, channel 8]"


class Example(NamedTuple):
    """Lines of textual IR over inputs, by their names; `{name}` in a line is the op's.

    A line that names no results has one. An op whose time behaviour depends on its attributes has a line for each.
    """

    inputs: dict[str, str]
    lines: tuple[str, ...]

    def of(self, name: str) -> Example:
        """The example of the op of that name."""
        return Example(self.inputs, tuple(line.replace("{name}", name) for line in self.lines))
