"""A probe: a small package, what it is fed, and the contested fact that its answer settles."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from inspect import cleandoc
from typing import Any

import numpy as np

from mctc.evaluate.coreml.precision import Array
from mctc.linter.coreml.notation import read_notation
from mctc.package import Package
from mctc.records import dataclass

BALLAST = "ballast"
"""How the names begin of what only makes a program worth the engine: eight convolutions before the probed op and eight
behind it, which a plan that goes by cost keeps on the engine in between (docs/lint-placement.md)."""
LAYERS = 8


class Kind(str, Enum):
    """What is asked of a probe."""

    NUMBERS = "numbers"
    """Results, row by row, each with what the candidates say."""
    TABLE = "table"
    """A function of one number at all 65,536 fp16 numbers."""
    PLACEMENT = "placement"
    """Where one op runs; its results don't matter."""


@dataclass(frozen=True)
class Probe:
    """name: of its files. question: what it settles. package: as written; bare: without ballast, which is evaluated
    here. inputs: arrays by name. op: the probed op's type. output: the result to read, of kinds NUMBERS and TABLE.
    rule: of kind PLACEMENT, the contested rule."""

    name: str
    kind: Kind
    question: str
    package: Package
    bare: Package
    inputs: Mapping[str, Array]
    op: str
    output: str = ""
    rule: str = ""


def with_ballast(body: str, results: str) -> str:
    """A program's text between two chains of convolutions over an input of its own. results: names that it returns."""
    return "\n".join(
        (
            cleandoc(f"""
                {BALLAST}_x: fp16[1, 64, 32, 32]
                {BALLAST}_w: fp16[64, 64, 3, 3] = const(val=fp16[64, 64, 3, 3](0.001953125))
                {BALLAST}: fp16[1, 64, 32, 32] = conv(x={BALLAST}_x, weight={BALLAST}_w, pad_type="same")
                for _ in range({LAYERS - 1}):
                    {BALLAST}: fp16[1, 64, 32, 32] = conv(x={BALLAST}, weight={BALLAST}_w, pad_type="same")
            """),
            cleandoc(body),
            cleandoc(f"""
                for _ in range({LAYERS}):
                    {BALLAST}: fp16[1, 64, 32, 32] = conv(x={BALLAST}, weight={BALLAST}_w, pad_type="same")
                return {results}, {BALLAST}
            """),
        )
    )


def packages_of(name: str, body: str, results: str) -> tuple[Package, Package]:
    """The packages of a program between ballast, and alone."""
    alone = f"{cleandoc(body)}\nreturn {results}"
    return read_notation(with_ballast(body, results), f"{name}.mlpackage"), read_notation(alone, f"{name}.mlpackage")


def inputs_of(package: Package, given: Mapping[str, Any], seed: int = 11) -> dict[str, Array]:
    """What a package is fed: the given arrays, and small numbers for all other inputs."""
    draw = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for item in package.functions["main"].inputs:
        shape = tuple(extent or 0 for extent in item.type.shape or ())  # type: ignore[union-attr]
        if item.name in given:
            arrays[item.name] = np.asarray(given[item.name])
        elif item.type.dtype == "int32":  # type: ignore[union-attr]
            arrays[item.name] = np.zeros(shape, np.int32)
        else:
            arrays[item.name] = draw.uniform(-1, 1, shape).astype(np.float16)
    return arrays
