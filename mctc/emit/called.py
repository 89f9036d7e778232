"""Plain functions as what executes an artifact (mctc.driver.engine)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import field
from typing import Any

from mctc.diagnostics.near import listing
from mctc.driver.engine import Named
from mctc.driver.options import BuildError
from mctc.ir.op import Array
from mctc.records import dataclass

Function = Callable[[Mapping[str, Array]], dict[str, Array]]


@dataclass(frozen=True)
class Called:
    """A function of an artifact that keeps nothing between calls: states are inputs and outputs."""

    name: str
    function: Function
    inputs: tuple[Named, ...] = ()
    states: tuple[Named, ...] = field(default=(), init=False)

    def make_state(self) -> MutableMapping[str, Array]:
        """None."""
        return {}

    def __call__(self, inputs: Mapping[str, Array], state: Any = None) -> dict[str, Array]:
        """One call: outputs by name. Raises BuildError naming an input that is missing."""
        try:
            return self.function(inputs)
        except KeyError as error:
            raise BuildError(f"`{self.name}` needs {error}") from error


@dataclass(frozen=True)
class Opened:
    """An artifact that was opened: its functions by name."""

    functions: Mapping[str, Function]

    def function(self, name: str | None = None) -> Called:
        """The function of that name, the first when left out. Raises BuildError when there is none."""
        name = next(iter(self.functions)) if name is None else name
        if name not in self.functions:
            raise BuildError(f"there is no function `{name}`", hint=f"there are {listing(self.functions)}")
        return Called(name, self.functions[name])
