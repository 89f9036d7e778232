"""Softmax, activations and arg-reductions (ANE-SM, ANE-AR, ANE-GE, ANE-SI)."""

from __future__ import annotations

from mctc.linter.coreml.forms import axis, main_shape, rank
from mctc.linter.coreml.graph import Op, tensor_bytes
from mctc.linter.coreml.rule import OpRule, RuleFamily, Severity, Sides
from mctc.linter.coreml.sources import DEFECTS, DISPATCH, GUIDE, NEURAL_ENGINE_RULES
from mctc.linter.coreml.target import Target

MIB = 1 << 20
SPATIAL_RANK = 3
"""Fewer axes leave none beside height and width."""


def _extent(op: Op, default: int) -> tuple[int, int] | None:
    """The axis that an op works along and its extent; None where the file doesn't say."""
    shape, place = main_shape(op) or (), axis(op, default)
    if place is None or not 0 <= place < len(shape):
        return None
    extent = shape[place]
    return None if extent is None else (place, extent)


def _spatial_softmax(op: Op, target: Target) -> str | None:
    count, place, tensor = rank(op.shape("x")), axis(op, -1), op.tensor("x")
    if tensor is None or place is None or count < SPATIAL_RANK or not count - 2 <= place < count:
        return None
    size = 2 * tensor_bytes(tensor)
    limit = target.family.working_set
    if size <= limit:
        return None
    return f"softmax along axis {place} of {tensor}: {size / MIB:.1f} MiB in and out, over {limit / MIB:.1f}"


def _softmax_extent(op: Op, _: Target) -> str | None:
    found = _extent(op, -1)
    if found is None or found[1] < 1 or found[1] & (found[1] - 1) == 0:
        return None
    return f"softmax over {found[1]}, no power of two"


def _long_argument(op: Op, target: Target) -> str | None:
    found = _extent(op, -1)
    limit = target.family.argument_axis
    if found is None or found[1] <= limit:
        return None
    return f"{op.type} over {found[1]}, more than the {limit} that the compiler takes"


def _exact(op: Op, _: Target) -> str | None:
    return "gelu in the EXACT mode" if str(op.value("mode", "EXACT")).upper() == "EXACT" else None


RULES = RuleFamily(
    name="activations",
    title="Softmax, activations and arg-reductions",
    rules=(
        OpRule(
            code="ANE-SM-001",
            name="spatial-softmax",
            summary="a softmax over the height or width of a tensor that doesn't fit near the engine",
            severity=Severity.PERFORMANCE,
            evidence="A",
            confidence="M",
            ops=("softmax",),
            why="""
                Apple says that a softmax over height or width keeps the compiler from splitting the work along them,
                and that it matters where input and output together are large. How large is not said: the line is drawn
                at what stays near the engine, 2 MiB up to the M4 and 4.5 MiB later, as above it work has to be split.
            """,
            fix="""
                Lay the axis of the softmax along the channels (keys first in attention scores).
            """,
            source=f"{NEURAL_ENGINE_RULES}, Softmax placement; {GUIDE} chapter 17",
            find=_spatial_softmax,
            fires="""
                x: fp16[1, 8, 257, 256]
                y: fp16[1, 8, 257, 256] = softmax(x=x, axis=-1)
                return y
            """,
            silent="""
                x: fp16[1, 8, 256, 256]
                y: fp16[1, 8, 256, 256] = softmax(x=x, axis=-1)
                return y
            """,
        ),
        OpRule(
            code="ANE-SM-002",
            name="softmax-extent",
            summary="a softmax over an extent that is no power of two",
            severity=Severity.INFO,
            evidence="BE",
            confidence="L",
            ops=("softmax",),
            sides=Sides(
                stays=f"{DISPATCH}: softmax along every axis is placed on an M4",
                leaves="hollance/neural-engine #44: an InvalidMILProgram went away with powers of two",
            ),
            why="""
                One user of an older system got an invalid program from such a softmax. On an M4 (macOS 27.0.1) softmax
                is placed along every axis.
            """,
            fix="""
                Nothing; if the program is refused, pad the extent with a large negative number.
            """,
            source=f"hollance/neural-engine #44; {DISPATCH}, section 3.2",
            find=_softmax_extent,
            fires="""
                x: fp16[1, 8, 1, 77]
                y: fp16[1, 8, 1, 77] = softmax(x=x, axis=-1)
                return y
            """,
            silent="""
                x: fp16[1, 8, 1, 64]
                y: fp16[1, 8, 1, 64] = softmax(x=x, axis=-1)
                return y
            """,
        ),
        OpRule(
            code="ANE-AR-001",
            name="long-argument-axis",
            summary="an arg-min or arg-max over more than 2048",
            severity=Severity.INFO,
            evidence="D",
            confidence="M",
            ops=("reduce_argmax", "reduce_argmin"),
            why="""
                Past Core ML, the compiler of an M1 takes 2048 in the axis of an arg-min or arg-max, for the sake of
                fp16, and refuses 2049. In Core ML the op is on the CPU at any size (ANE-OP-008).
            """,
            fix="""
                Return the scores and search them on the host.
            """,
            source=f"{GUIDE} chapter 17",
            find=_long_argument,
            fires="""
                x: fp16[1, 2049]
                y: int32[1] = reduce_argmax(x=x, axis=-1, keep_dims=False)
                return y
            """,
            silent="""
                x: fp16[1, 2048]
                y: int32[1] = reduce_argmax(x=x, axis=-1, keep_dims=False)
                return y
            """,
        ),
        OpRule(
            code="ANE-GE-001",
            name="exact-gelu",
            summary="a gelu in the EXACT mode, which gains nothing",
            severity=Severity.INFO,
            evidence="CD",
            confidence="M",
            ops=("gelu",),
            why="""
                On an M6 the EXACT mode and the tanh approximation read the same table, so the numbers are the same.
                Both are placed on the engine.
            """,
            fix="""
                Choose TANH_APPROXIMATION, so that every device computes the same.
            """,
            source=f"{DEFECTS} C6; pkhairkh/MILLer",
            find=_exact,
            fires="""
                x: fp16[1, 64, 1, 32]
                y: fp16[1, 64, 1, 32] = gelu(x=x, mode="EXACT")
                return y
            """,
            silent="""
                x: fp16[1, 64, 1, 32]
                y: fp16[1, 64, 1, 32] = gelu(x=x, mode="TANH_APPROXIMATION")
                return y
            """,
        ),
    ),
    not_decidable=(
        ("ANE-SI-001", "silu is taken apart in fp32 by Core AI's converter only; a package's silu is placed on an M4"),
    ),
)
