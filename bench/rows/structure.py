"""What the package on disk is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bench.row import Row
from bench.setting import Setting
from mctc.linter.coreml.support import REFUSED
from mctc.package import Function, NamedType, TensorType, read_package

LIMIT = 400


@dataclass(frozen=True)
class Structure:
    """Counts of one function. fp32 ops have an fp32 result; int32 tensors are inputs and results, not constants."""

    kinds: Mapping[str, int]
    fp32: int
    int32: int
    states: int

    @property
    def operations(self) -> int:
        return sum(self.kinds.values())

    @property
    def transposes(self) -> int:
        return self.kinds.get("transpose", 0)

    @property
    def denied(self) -> dict[str, int]:
        return {kind: count for kind, count in self.kinds.items() if kind in REFUSED}

    @property
    def counts(self) -> str:
        return f"{self.transposes} / {self.fp32} / {self.int32} / {self.states}"


def structure(function: Function) -> Structure:
    """Counts everything but `const` and `constexpr_*`, which hold weights and are no work."""
    computing = [op for op in function.walk() if op.type != "const" and not op.type.startswith("constexpr_")]
    fp32 = sum(any(_is(result, "fp32") for result in op.outputs) for op in computing)
    tensors = [*function.inputs, *(result for op in computing for result in op.outputs)]
    int32 = sum(_is(tensor, "int32") for tensor in tensors)
    return Structure(Counter(op.type for op in computing), fp32, int32, len(function.states))


def rows(setting: Setting) -> list[Row]:
    """mct_small as it is built without options: 80 mel bins, width 256, 8 blocks, 32 frames a call."""
    package = read_package(setting.built / "mct_small.mlpackage")
    found = {name: structure(function) for name, function in package.functions.items()}
    encoder = found.pop("encoder")
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(encoder.kinds).most_common())
    others = [
        Row(
            f"{name} step: the same three (nothing demanded)",
            "",
            f"{each.counts}; {each.operations}; {_listed(each.denied)}",
            None,
        )
        for name, each in found.items()
    ]
    return [
        Row(
            "encoder step of mct_small, 32 mel frames, 8 blocks: transposes / fp32 ops / int32 tensors / state tensors",
            "0 / 0 / 0 / 1",
            encoder.counts,
            encoder.counts == "0 / 0 / 0 / 1",
        ),
        Row(
            "the same: ops other than constants",
            f"≤ {LIMIT}",
            str(encoder.operations),
            encoder.operations <= LIMIT,
            kinds,
        ),
        Row("the same: ops that the Neural Engine refuses", "0", _listed(encoder.denied), not encoder.denied),
        *others,
    ]


def _is(value: NamedType, dtype: str) -> bool:
    return isinstance(value.type, TensorType) and value.type.dtype == dtype


def _listed(denied: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in denied.items()) or "0"
