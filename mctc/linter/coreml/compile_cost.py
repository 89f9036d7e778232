"""What a function costs before its first result: seconds, disk and memory of the engine's compiler, the first calls.

From counts of ops and weights and from published rows (compile_rates.py). docs/compile-cost.md says how near it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from mctc.hardware.devices import PHONE
from mctc.linter.coreml import compile_rates as rates
from mctc.linter.coreml.forms import CONVOLUTIONS
from mctc.linter.coreml.graph import Op, place_of, tensor_bytes
from mctc.linter.coreml.placement import Placement
from mctc.linter.coreml.segment import Backend
from mctc.linter.coreml.target import Target
from mctc.package import Constant, Reference
from mctc.records import dataclass


@dataclass(frozen=True)
class CompileWork:
    """What the engine's compiler gets.

    ops: all that are not elementwise. elementwise: the others; chains: how many of them follow on each other, by chain.
    products: ops among `ops` that multiply computed values. width: the longest row that one of them, or a convolution,
    computes. weights: bytes as stored. kernels: areas of kernels over 64 channels or more. depth: the most convolutions
    that one value passes.
    """

    ops: int
    elementwise: int = 0
    chains: tuple[int, ...] = ()
    products: int = 0
    width: int = 0
    weights: int = 0
    kernels: tuple[int, ...] = ()
    depth: int = 0

    @property
    def swaps(self) -> bool:
        """Whether a split over two engines writes copies of the weights."""
        return self.products >= rates.SWAP_PRODUCTS and self.width >= rates.SWAP_WIDTH


@dataclass(frozen=True)
class CompileCost:
    """direct: seconds of the compiler alone, by what takes them. load: seconds of the first load through Core ML.
    disk, memory: bytes at the peak; copies: those on disk that are copies of weights. steady: milliseconds of a call.
    first_call: least and most milliseconds of the first call after the engine was switched off. fails: why the
    compiler is known to fail, where it is."""

    direct: tuple[tuple[str, float], ...]
    load: float
    disk: float
    copies: float
    memory: float
    steady: float
    first_call: tuple[float, float]
    fails: str | None = None

    @property
    def seconds(self) -> float:
        """Of the compiler alone."""
        return sum(seconds for _, seconds in self.direct)

    @property
    def most(self) -> str:
        """What takes most of the time."""
        return max(self.direct, key=lambda each: each[1])[0]


def duration(seconds: float) -> str:
    """'20 min', '34 s', '1.7 s', '0.05 s'."""
    if seconds >= 600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds:.2f} s"


def compile_cost(placement: Placement, target: Target) -> CompileCost | None:
    """The cost of a function as placed; None where nothing of it is on the engine."""
    ops = [op for op, where in zip(placement.function.ops, placement.path, strict=True) if where is Backend.ANE]
    return estimate(compile_work(ops), target, placement.time / 1000) if ops else None


def estimate(work: CompileWork, target: Target, steady: float = 0.0) -> CompileCost:
    """The cost of some work on a target. steady: milliseconds of a call."""
    family = target.family.name
    dual = family in rates.DUAL
    swap = rates.SWAP_BYTES * work.weights if dual and work.swaps else 0.0
    share = {name: value * (rates.DUAL_FACTOR if dual else 1.0) for name, value in _single(work).items()}
    if dual:
        share["chains of elementwise ops"] = sum(map(_chain_seconds, work.chains))
        share["copies of weights"] = swap / rates.SWAP_RATE
    kernels = [(area / rates.KERNEL_AREA) ** rates.KERNEL_POWER for area in work.kernels]
    memory = rates.MEMORY_BYTES * work.weights + rates.KERNEL_MEMORY * max(kernels, default=0.0)
    direct = tuple((name, value) for name, value in share.items() if value)
    wake = rates.WAKE.get(family, rates.WAKE_OTHERS)
    return CompileCost(
        direct=direct,
        load=sum(share.values()) * load_factor(target),
        disk=rates.PROGRAM_BYTES * work.weights + swap,
        copies=swap,
        memory=memory + min(swap, rates.SWAP_MEMORY),
        steady=steady,
        first_call=(steady + wake[0], rates.SLOW_CLOCK * steady + wake[1]),
        fails=_failure(work, dual=dual),
    )


def load_factor(target: Target) -> float:
    """How much longer a first load takes than a direct compile."""
    if target.device.kind == PHONE:
        return rates.LOAD_PHONE
    mac = target.system("macos")
    old = "os" in target.stated and mac is not None and mac.major < rates.OLD_SYSTEM
    return rates.LOAD.get(target.family.name, rates.LOAD_OTHERS) * (rates.OLD_FACTOR if old else 1.0)


def _single(work: CompileWork) -> dict[str, float]:
    """Seconds of the program for one engine."""
    return {
        "ops": rates.SERIAL_SECONDS + rates.OP_SECONDS * work.ops + rates.ELEMENTWISE_SECONDS * work.elementwise,
        "weights": rates.WEIGHT_SECONDS * work.weights,
        "wide kernels": sum(
            rates.KERNEL_SECONDS * (area / rates.KERNEL_AREA) ** rates.KERNEL_POWER for area in work.kernels
        ),
    }


def _chain_seconds(length: int) -> float:
    return float(rates.DUAL_RUN_SECONDS * (length / rates.DUAL_RUN) ** rates.DUAL_RUN_POWER)


def _failure(work: CompileWork, *, dual: bool) -> str | None:
    if dual and work.depth >= rates.DUAL_CHAIN:
        return f"a chain of {work.depth} convolutions overflows the compiler's stack (ANE-NM-011)"
    return None


def compile_work(ops: Sequence[Op]) -> CompileWork:
    """The counts of the ops that are on the engine."""
    elementwise = [op for op in ops if op.type in rates.ELEMENTWISE]
    rest = [op for op in ops if op.type not in rates.ELEMENTWISE]
    products = [op for op in rest if op.type in rates.PRODUCTS]
    wide = [op for op in rest if op.type in CONVOLUTIONS or op.type in rates.PRODUCTS]
    return CompileWork(
        ops=len(rest),
        elementwise=len(elementwise),
        chains=_chains(elementwise),
        products=sum(_multiplies_computed(op) for op in products),
        width=max((_row(op) for op in wide), default=0),
        weights=_weight_bytes(ops),
        kernels=tuple(area for op in ops if (area := _kernel(op)) >= rates.KERNEL_LEAST),
        depth=_depth(ops),
    )


def _chains(ops: Sequence[Op]) -> tuple[int, ...]:
    """The lengths of groups of ops that feed each other, the longest first."""
    group: dict[Op, list[Op]] = {}
    for op in ops:
        joined = group[op] = [op]
        for before in op.producers():
            other = group.get(before, joined)
            if other is not joined:
                joined, other = (joined, other) if len(joined) >= len(other) else (other, joined)
                joined += other  # the shorter into the longer: linear but for a logarithm
                group.update(dict.fromkeys(other, joined))
    return tuple(sorted((len(each) for each in {id(each): each for each in group.values()}.values()), reverse=True))


def _depth(ops: Iterable[Op]) -> int:
    """The most convolutions that one value passes."""
    depth: dict[Op, int] = {}
    for op in ops:
        before = max((depth.get(maker, 0) for maker in op.producers()), default=0)
        depth[op] = before + (op.type in CONVOLUTIONS)
    return max(depth.values(), default=0)


def _multiplies_computed(op: Op) -> bool:
    return sum(isinstance(each, Reference) and each.name not in op.function.fixed for each in op.bound) > 1


def _row(op: Op) -> int:
    shape = op.result.shape if op.result is not None else None
    return (shape[-1] or 1) if shape else 0


def _kernel(op: Op) -> int:
    """The area of a convolution's kernel over 64 channels or more, 0 for others."""
    weight = op.shape("weight") if op.type in CONVOLUTIONS else None
    if weight is None or len(weight) < 3 or (weight[0] or 0) < 64 or (weight[1] or 0) < 64:
        return 0
    return prod(each or 1 for each in weight[2:])


def _weight_bytes(ops: Sequence[Op]) -> int:
    """Bytes of the constants that ops take, as stored, each once."""
    sizes: dict[Any, int] = {}
    seen: set[Op] = set()
    waiting = list(ops)
    while waiting:
        op = waiting.pop()
        seen.add(op)
        function = op.function
        for binding in op.bound:
            name = binding.name if isinstance(binding, Reference) else ""
            constant = binding if isinstance(binding, Constant) else function.constants.get(name)
            if constant is not None:
                sizes[place_of(constant)] = constant.stored_bytes or tensor_bytes(constant.type)
            made_by = function.compressed.get(name) or function.folded.get(name)
            if made_by is not None and made_by not in seen:
                waiting.append(made_by)
    return sum(sizes.values())
