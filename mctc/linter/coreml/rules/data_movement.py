"""Pads, resizes, gathers and concatenations (ANE-PD, ANE-RS, ANE-GA, ANE-CC)."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.hardware.families import up_to
from mctc.linter.coreml.forms import main_shape, rank
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import Effect, OpRule, RuleFamily, Severity, Sides
from mctc.linter.coreml.rules.gathers import GATHERS
from mctc.linter.coreml.sources import DISPATCH, GUIDE
from mctc.linter.coreml.target import Scope, Target

SUPPORT = f"{DISPATCH}, section 3.2"
RESIZES = (
    "upsample_nearest_neighbor", "upsample_bilinear", "resize_nearest_neighbor", "resize_bilinear", "resize",
)  # fmt: skip
BLOCKS = {
    "pixel_shuffle": "upscale_factor", "pixel_unshuffle": "downscale_factor", "space_to_depth": "block_size",
    "depth_to_space": "block_size", "space_to_batch": "block_shape", "batch_to_space": "block_shape",
}  # fmt: skip
CHANNEL_AXES = {4: (1,), 5: (1, 2)}
"""By rank, the axes that are no height or width: channels and depth."""
MANY = 12


def _pad_mode(op: Op) -> str:
    return str(op.value("mode", "constant"))


def _pad_value(op: Op, _: Target) -> str | None:
    value = op.value("constant_val", 0)
    if _pad_mode(op) != "constant" or not isinstance(value, (int, float)) or value == 0:
        return None
    return f"a pad with {value:g}"


def _pad_mirror(op: Op, _: Target) -> str | None:
    mode = _pad_mode(op)
    return f"a pad in the {mode} mode" if mode in ("reflect", "symmetric") else None


def _pad_channels(op: Op, _: Target) -> str | None:
    amounts = op.numbers("pad")
    count = rank(op.shape("x"))
    skipped = 2 * count - len(amounts)  # the pad speaks of the last axes
    for axis in CHANNEL_AXES.get(count, ()):
        place = 2 * axis - skipped
        if place >= 0 and any(amounts[place : place + 2]):
            return f"a pad along axis {axis} of a tensor of rank {count}"
    return None


def _factors(op: Op) -> Iterator[int]:
    """By what an op stretches, packs or unpacks; whole numbers only."""
    if op.type in BLOCKS:
        yield from op.numbers(BLOCKS[op.type])
        return
    before = op.shape("x") or ()
    after = (op.result.shape if op.result is not None else None) or ()
    if len(before) == len(after) >= 3:
        for small, large in zip(before[-2:], after[-2:]):
            if small and large and large % small == 0:
                yield large // small


def _other_primes(number: int) -> bool:
    """Whether a number has prime factors other than 2 and 3."""
    for prime in (2, 3):
        while number > 1 and number % prime == 0:
            number //= prime
    return number > 1


def _odd_factor(op: Op, _: Target) -> str | None:
    odd = tuple(factor for factor in _factors(op) if _other_primes(factor))
    return f"{op.type} by a factor of {odd[0]}" if odd else None


def _concat_axis(op: Op, _: Target) -> str | None:
    if not op.is_constant("axis"):
        return "a concat along a computed axis"
    axis = op.value("axis", 0)
    negative = isinstance(axis, (int, float)) and axis < 0
    count = rank(main_shape(op))
    same = f", the same as {int(axis) + count}" if negative and count + axis >= 0 else ""
    return f"a concat along axis {int(axis)}{same}" if negative else None


def _fan(op: Op, _: Target) -> str | None:
    if op.type == "split":
        return f"a split in {len(op.results)} parts" if len(op.results) >= MANY else None
    joined = [value for value in op.bindings("values") if getattr(value, "name", None) in op.function.made]
    return f"a {op.type} of {len(joined)} computed values" if len(joined) >= MANY else None


def _parts(count: int) -> str:
    """A program that splits into as many parts and joins them again."""
    types = ", ".join(["fp16[1, 8, 1, 32]"] * count)
    names = ", ".join(["a", *(f"a_{place}" for place in range(1, count))])
    return f"""\
x: fp16[1, {8 * count}, 1, 32]
a: ({types}) = split(x=x, num_splits={count}, axis=1)
y: fp16[1, {8 * count}, 1, 32] = concat(values=[{names}], axis=1, interleave=False)
return y
"""


RULES = RuleFamily(
    name="data-movement",
    title="Pads, resizes, gathers and concatenations",
    rules=(
        OpRule(
            code="ANE-PD-001",
            name="pad-with-value",
            summary="a constant pad with a value other than 0",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="D",
            confidence="M",
            ops=("pad",),
            why="""
                Core ML holds a message that refuses constant pads with a value other than 0 on the engine. Pads with 0
                are placed on an M4 (macOS 27.0.1); other values were not tried.
            """,
            fix="""
                Pad with 0 and add, or select from, a constant that holds the value at the edge.
            """,
            source=f"{DISPATCH}, section 2.1",
            find=_pad_value,
            fires="""
                x: fp16[1, 8, 32, 32]
                y: fp16[1, 8, 34, 34] = pad(x=x, pad=[0, 0, 0, 0, 1, 1, 1, 1], mode="constant", constant_val=fp16(1.0))
                return y
            """,
            silent="""
                x: fp16[1, 8, 32, 32]
                y: fp16[1, 8, 34, 34] = pad(x=x, pad=[0, 0, 0, 0, 1, 1, 1, 1], mode="constant", constant_val=fp16(0.0))
                return y
            """,
        ),
        OpRule(
            code="ANE-PD-002",
            name="mirrored-pad-on-m1",
            summary="a reflecting pad, for an M1",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="BD",
            confidence="M",
            scope=Scope(families=frozenset({"H13"})),
            ops=("pad",),
            why="""
                The compiler's tables want the texture engine for it, which came with the M2 (H14). An M4 (macOS 27.0.1)
                takes it through Core ML.
            """,
            fix="""
                Concatenate reversed slices of the edges, or pad with 0 or by replication.
            """,
            source=f"{GUIDE} chapter 17 and appendix A; {SUPPORT}",
            find=_pad_mirror,
            fires="""
                x: fp16[1, 8, 32, 32]
                y: fp16[1, 8, 34, 34] = pad(x=x, pad=[0, 0, 0, 0, 1, 1, 1, 1], mode="reflect")
                return y
            """,
            silent="""
                x: fp16[1, 8, 32, 32]
                y: fp16[1, 8, 34, 34] = pad(x=x, pad=[0, 0, 0, 0, 1, 1, 1, 1], mode="replicate")
                return y
            """,
        ),
        OpRule(
            code="ANE-PD-003",
            name="pad-of-channels",
            summary="a pad along channels or depth, for chips before the M4",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="BD",
            confidence="L",
            scope=Scope(families=up_to("H15")),
            ops=("pad",),
            sides=Sides(
                stays=f"{DISPATCH}: a pad of the channels is placed on an M4 through Core ML",
                leaves=f"{GUIDE} chapter 17: the compiler's check takes height and width only",
            ),
            why="""
                An M4 (macOS 27.0.1) takes a pad along the channels through Core ML; the check in the compiler that was
                read on an M1 refuses it. Nothing is known of the chips between.
            """,
            fix="""
                Concatenate a constant of zeros along that axis.
            """,
            source=f"{GUIDE} chapter 17; {SUPPORT}",
            find=_pad_channels,
            fires="""
                x: fp16[1, 8, 32, 32]
                y: fp16[1, 16, 32, 32] = pad(x=x, pad=[0, 8, 0, 0, 0, 0], mode="constant", constant_val=fp16(0.0))
                return y
            """,
            silent="""
                x: fp16[1, 8, 32, 32]
                y: fp16[1, 8, 40, 32] = pad(x=x, pad=[0, 0, 0, 8, 0, 0], mode="constant", constant_val=fp16(0.0))
                return y
            """,
        ),
        OpRule(
            code="ANE-RS-001",
            name="odd-scale",
            summary="an upsampling or a shuffle of pixels by a factor with primes other than 2 and 3",
            severity=Severity.PERFORMANCE,
            evidence="BD",
            confidence="L",
            ops=(*RESIZES, *BLOCKS),
            why="""
                The compiler packs by factors of 2, 3, 4 and 8. That upsampling by more than 2 left the engine is from
                2019; an M4 (macOS 27.0.1) takes resizes by any factor, whole or not.
            """,
            fix="""
                Compose the factor of steps of 2 and 3.
            """,
            source=f"{GUIDE} appendix A; {SUPPORT}; hollance/neural-engine",
            find=_odd_factor,
            fires="""
                x: fp16[1, 75, 8, 8]
                y: fp16[1, 3, 40, 40] = pixel_shuffle(x=x, upscale_factor=5)
                return y
            """,
            silent="""
                x: fp16[1, 108, 8, 8]
                y: fp16[1, 3, 48, 48] = pixel_shuffle(x=x, upscale_factor=6)
                return y
            """,
        ),
        *GATHERS,
        OpRule(
            code="ANE-CC-001",
            name="concat-axis",
            summary="a concat along an axis that is computed, or counted from the end",
            severity=Severity.INFO,
            evidence="D",
            confidence="M",
            ops=("concat",),
            why="""
                The engine's own compiler takes constant axes counted from the front. Core ML places concat on an M4
                (macOS 27.0.1) along every axis, so it seems to count them anew; that concat never runs on the engine is
                true of private paths only.
            """,
            fix="""
                Nothing; or count the axis from the front.
            """,
            source=f"{GUIDE} chapter 17; {SUPPORT}",
            find=_concat_axis,
            fires="""
                x: fp16[1, 8, 4, 4]
                y: fp16[1, 8, 4, 4]
                z: fp16[1, 8, 4, 8] = concat(values=[x, y], axis=-1, interleave=False)
                return z
            """,
            silent="""
                x: fp16[1, 8, 4, 4]
                y: fp16[1, 8, 4, 4]
                z: fp16[1, 8, 4, 8] = concat(values=[x, y], axis=3, interleave=False)
                return z
            """,
        ),
        OpRule(
            code="ANE-CC-002",
            name="wide-fan",
            summary="12 or more branches that leave one op, or come together in one",
            severity=Severity.PERFORMANCE,
            evidence="C",
            confidence="L",
            ops=("concat", "stack", "split"),
            why="""
                The compiler's search for clusters grows fast with the number of branches that meet again; past Core ML
                the worst took about 9 s on an M1. Whether branches are long enough to be searched is not looked at.
            """,
            fix="""
                Join in a tree, or make fewer, wider branches.
            """,
            source=f"{GUIDE} chapter 19",
            find=_fan,
            fires=_parts(12),
            silent=_parts(11),
        ),
    ),
    not_decidable=(
        (
            "ANE-RS-002",
            "a 3-D space_to_batch is said to be refused; MIL's has two block sizes, so no package holds one",
        ),
    ),
)
