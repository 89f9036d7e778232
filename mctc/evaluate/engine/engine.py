"""Which ops of a program run on the engine, and what they compute there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import field
from enum import Enum
from functools import partial
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import REGISTRY, OpDeclaration
from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.engine.activations import AROUND, EXACT, SAMPLED, activate
from mctc.evaluate.engine.arithmetic import Arithmetic
from mctc.evaluate.engine.contractions import convolution, linear, matmul
from mctc.evaluate.engine.integers import Scales, integer_convolution
from mctc.evaluate.engine.number import decoded, half_away
from mctc.evaluate.engine.tally import Tally
from mctc.package.model import Operation
from mctc.package.types import TensorType
from mctc.records import dataclass

Placed = Mapping[str, Collection[int]]
"""For every function the indices of the operations on the engine."""
Call = Callable[..., Any]

CONTRACTIONS: dict[str, Callable[[Mapping[str, Any], Tally | None], Call]] = {
    "conv": convolution, "linear": linear, "matmul": matmul,
}  # fmt: skip
ELEMENTWISE = ("add", "sub", "mul")


class Basis(str, Enum):
    """On what the arithmetic of an op rests."""

    MEASURED = "as measured"
    TABLE = "by tables that were read"
    PARTLY = "by tables that are published in part"
    MOVES = "that move, compare or choose numbers"
    ASSUMED = "whose arithmetic isn't published"


@dataclass
class Engine:
    """placed: operations on the engine; None for all that it takes. tallies: by function and operation, of sums; None
    where nobody asks."""

    arithmetic: Arithmetic
    placed: Placed | None = None
    tallies: dict[tuple[str, int], Tally] | None = field(default=None)

    def takes(self, function: str, operation: Operation) -> bool:
        """Whether an operation runs there: it is placed there, and its floating-point values are fp16."""
        if self.placed is not None and operation.index not in self.placed.get(function, ()):
            return False
        kinds = [item.type.dtype for item in operation.outputs if isinstance(item.type, TensorType)]
        return "fp16" in kinds and "fp32" not in kinds

    def call(
        self, function: str, operation: Operation, declaration: OpDeclaration, constants: Mapping[str, Any],
        scales: Scales | None = None,
    ) -> Call:  # fmt: skip
        """The operation's meaning there, given its constant operands; called with the others. scales: of a conv whose
        operands are int8."""
        type_ = operation.type
        if scales is not None:
            return integer_convolution(constants, scales)
        if type_ in CONTRACTIONS:
            return CONTRACTIONS[type_](constants, self._tally(function, operation))
        if declaration.exact and type_ not in EXACT:
            return partial(declaration.function, **constants)
        if basis(type_, self.arithmetic) is not Basis.ASSUMED and type_ not in ELEMENTWISE:
            return partial(self._activate, type_, **constants)
        return partial(_rounded, declaration, constants)

    def _activate(self, name: str, x: Array, mode: str = "", epsilon: Any = None) -> Array:
        """mode: of gelu, whose modes are one table."""
        added = None if epsilon is None else float(np.asarray(epsilon).reshape(-1)[0])
        return activate(name, x, self.arithmetic.unknown, added)

    def _tally(self, function: str, operation: Operation) -> Tally | None:
        return None if self.tallies is None else self.tallies.setdefault((function, operation.index), Tally())


def basis(type_: str, arithmetic: Arithmetic) -> Basis:
    """What is known of an op's arithmetic."""
    declaration = REGISTRY.get(type_)
    if declaration is None or (declaration.exact and type_ not in EXACT):
        return Basis.MOVES
    if type_ in CONTRACTIONS or type_ in ELEMENTWISE or type_ in EXACT:
        return Basis.MEASURED
    if type_ in SAMPLED and arithmetic.tables:
        return Basis.TABLE
    if type_ in AROUND and arithmetic.tables:
        return Basis.PARTLY
    return Basis.ASSUMED


def _rounded(declaration: OpDeclaration, constants: Mapping[str, Any], **variable: Any) -> Any:
    """The op in float32, of numbers as the engine reads them, rounded as it rounds."""
    given = {key: _decoded(value) for key, value in {**constants, **variable}.items()}
    made = declaration.function(**given)
    return tuple(map(_half, made)) if isinstance(made, tuple) else _half(made)


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    return decoded(value) if isinstance(value, np.ndarray) and value.dtype == np.float32 else value


def _half(value: Any) -> Any:
    return half_away(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
