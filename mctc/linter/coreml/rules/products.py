"""Products of matrices (ANE-MM)."""

from __future__ import annotations

from mctc.hardware.families import MEASURED, up_to
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import Effect, OpRule, RuleFamily, Severity
from mctc.linter.coreml.rules.linear_layers import LINEAR
from mctc.linter.coreml.rules.runtime_defects import INTEGERS, VECTOR
from mctc.linter.coreml.sources import DISPATCH, GUIDE
from mctc.linter.coreml.target import Scope, Target


def contracted(op: Op) -> int | None:
    """The extent that a matmul sums over; None where the file doesn't say."""
    return _summed(op, "x", -1, -2) or _summed(op, "y", -2, -1)


def _summed(op: Op, operand: str, plain: int, transposed: int) -> int | None:
    shape = op.shape(operand) or ()
    if len(shape) < 2:
        return shape[0] if shape else None
    return shape[transposed if op.value(f"transpose_{operand}", False) is True else plain]


def _inner(op: Op, _: Target) -> str | None:
    extent = contracted(op) or 0
    if extent <= MEASURED.matmul_inner:
        return None
    return f"a matmul sums over {extent}, more than the {MEASURED.matmul_inner} that the engine takes"


def _inner_of_family(op: Op, target: Target) -> str | None:
    extent = contracted(op) or 0
    limit = target.family.matmul_inner
    if not limit < extent <= MEASURED.matmul_inner:
        return None
    return f"a matmul sums over {extent}, more than the {limit} of {target.family.name}"


def _deep(op: Op, _: Target) -> str | None:
    for operand in ("x", "y"):
        shape = op.shape(operand) or ()
        if len(shape) == 5 and (shape[1] or 1) > 1:
            return f"a matmul of rank 5 with {shape[1]} in its second axis"
    return None


RULES = RuleFamily(
    name="products",
    title="Products of matrices",
    rules=(
        OpRule(
            code="ANE-MM-001",
            name="inner-axis-too-long",
            summary="a matmul that sums over more than 32768",
            severity=Severity.ERROR,
            effect=Effect.OFF,
            evidence="B",
            confidence="H",
            ops=("matmul",),
            why="""
                On an M4 (macOS 27.0.1) a matmul that sums over 32768 may go to the engine; 40000, 49152, 65535 and
                65536 may not. Older families have half of it.
            """,
            fix="""
                Split the summed axis in parts, and add the partial products.
            """,
            source=f"{DISPATCH}, section 3.3",
            find=_inner,
            fires="""
                x: fp16[1, 8, 40000]
                y: fp16[1, 8, 8] = matmul(x=x, y=fp16[40000, 8], transpose_x=False, transpose_y=False)
                return y
            """,
            silent="""
                x: fp16[1, 8, 32768]
                y: fp16[1, 8, 8] = matmul(x=x, y=fp16[32768, 8], transpose_x=False, transpose_y=False)
                return y
            """,
        ),
        OpRule(
            code="ANE-MM-002",
            name="inner-axis-long-for-old-chips",
            summary="a matmul that sums over more than 16384, for chips before the M4",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="C",
            confidence="M",
            scope=Scope(families=up_to("H15")),
            ops=("matmul",),
            why="""
                Past Core ML, an M1 takes 16384 in the summed axis of a matmul and refuses 16385; ironmill refuses the
                same.
            """,
            fix="""
                Split the summed axis in parts, and add the partial products.
            """,
            source=f"{GUIDE} chapter 4; jafreck/ironmill validate.rs",
            find=_inner_of_family,
            fires="""
                x: fp16[1, 8, 16385]
                y: fp16[1, 8, 8] = matmul(x=x, y=fp16[16385, 8], transpose_x=False, transpose_y=False)
                return y
            """,
            silent="""
                x: fp16[1, 8, 16384]
                y: fp16[1, 8, 8] = matmul(x=x, y=fp16[16384, 8], transpose_x=False, transpose_y=False)
                return y
            """,
        ),
        OpRule(
            code="ANE-MM-003",
            name="deep-matmul",
            summary="a matmul of rank 5 with more than one in its second axis",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="CD",
            confidence="M",
            ops=("matmul",),
            why="""
                The engine's five axes are batch, depth, channel, height, width, and its compiler refuses a product with
                a depth above 1 (M1, past Core ML). Which axis of a tensor Core ML makes the depth is not documented;
                the second is taken here.
            """,
            fix="""
                Reshape the batch axes into one, so that the product has rank 4 or less.
            """,
            source=f"{GUIDE} chapters 4 and 17",
            find=_deep,
            fires="""
                x: fp16[1, 2, 8, 16, 32]
                y: fp16[1, 2, 8, 32, 16]
                z: fp16[1, 2, 8, 16, 16] = matmul(x=x, y=y, transpose_x=False, transpose_y=False)
                return z
            """,
            silent="""
                x: fp16[2, 8, 16, 32]
                y: fp16[2, 8, 32, 16]
                z: fp16[2, 8, 16, 16] = matmul(x=x, y=y, transpose_x=False, transpose_y=False)
                return z
            """,
        ),
        *LINEAR,
        VECTOR,
        INTEGERS,
    ),
)
