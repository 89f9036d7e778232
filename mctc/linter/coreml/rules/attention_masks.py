"""What is added to attention scores, and how positions get in: masks and rotary tables (ANE-AT)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from mctc.linter.coreml.bounds import FP16_LARGEST, extremes
from mctc.linter.coreml.forms import PRODUCTS
from mctc.linter.coreml.graph import READ_LIMIT, FunctionGraph, Op
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, Severity
from mctc.linter.coreml.sources import DISPATCH, NEURAL_ENGINE_RULES
from mctc.linter.coreml.target import Target
from mctc.linter.coreml.trace import VIEWS, before

ATTENTION = ("softmax", "scaled_dot_product_attention")
CUT = ("slice_by_index", "slice_by_size", "split", "tile", "concat", "stack", "pad", "gather", "gather_nd")
SCORES = VIEWS | {"add", "sub", "mul", "real_div", "select", "fill", "fill_like", *CUT}
"""What a mask goes through on its way into the scores. A clip or a maximum ends it: it holds the value back."""
COMPARISONS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
LOGIC = ("logical_and", "logical_or", "logical_xor", "logical_not")
MAKERS = ("band_part", "cumsum", "range_1d")
MASKS = SCORES | {*COMPARISONS, *LOGIC, "maximum", "minimum"}
PARTS = {
    "add": "xy", "sub": "xy", "mul": "xy", "real_div": "x", "select": "ab", "gather": "x", "gather_nd": "x",
}  # fmt: skip
"""Operands whose constants become part of the scores."""
ROTARY_ROWS, ROTARY_ERROR = 6, 1e-3
"""Rows of a table that are compared with sines and cosines, and how closely (fp16 holds them to 0.0005)."""
NOT_FP16 = ("fp32", "int32", "int16", "int8", "uint16", "uint8", "bool")


def _overflow(op: Op, _: Target) -> str | None:
    found = _largest(op, ("attn_mask",)) if op.type != "softmax" else None
    for each in before(op, SCORES):
        if found is not None:
            break
        found = _largest(each, _parts(each))
    if found is None:
        return None
    return f"a mask of {found:g} ahead of {op.type}: not finite in fp16, whose largest is {FP16_LARGEST:.0f}"


def _parts(op: Op) -> tuple[str, ...]:
    if op.type in ("fill", "fill_like"):
        return ("value",)
    return ("values",) if op.type in ("concat", "stack") else tuple(PARTS.get(op.type, ""))


def _largest(op: Op, operands: tuple[str, ...]) -> float | None:
    """A constant operand's number that fp16 can't hold."""
    for operand in operands:
        constant = op.constant(operand)
        found = extremes(constant, READ_LIMIT) if constant is not None else None
        if found is not None and max(-found[0], found[1]) > FP16_LARGEST:
            return found[0] if -found[0] > FP16_LARGEST else found[1]
    return None


def _built(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    seen: set[Op] = set()
    for attention in function.of_type(*ATTENTION):
        for op in before(attention, MASKS):
            if op not in seen and (op.type in MAKERS or _compares_integers(op)):
                yield Hit(f"{op.type} makes the attention mask in the graph", op)
            seen.add(op)


def _compares_integers(op: Op) -> bool:
    return op.type in COMPARISONS and "int32" in (op.dtype("x"), op.dtype("y"))


def _cast(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    seen: set[Op] = set()
    for attention in function.of_type(*ATTENTION):
        for added in before(attention, SCORES):
            if added.type not in ("add", "sub") or added in seen:
                continue
            seen.add(added)
            for op in before(added, SCORES):
                if op not in seen and _is_late_cast(op):
                    seen.add(op)
                    yield Hit(f"the mask that is added to the scores is {op.dtype('x')}, cast to fp16 in the graph", op)


def _is_late_cast(op: Op) -> bool:
    """A cast to fp16 of what isn't a score; that of an fp32 input costs nothing."""
    if op.type != "cast" or op.result is None or op.result.dtype != "fp16" or op.dtype("x") not in NOT_FP16:
        return False
    made = op.producer("x")
    if op.dtype("x") == "fp32":
        return made is not None and made.type not in (*PRODUCTS, *ATTENTION, "layer_norm")
    return True


def _rotary(op: Op, _: Target) -> str | None:
    if op.is_constant("indices") or op.constant("x") is None:
        return None
    table = op.value("x")
    axis = 0 if op.type == "gather_nd" else op.value("axis", 0)
    count = getattr(table, "ndim", 0)
    if count < 2 or not isinstance(axis, int) or not -count <= axis < count or not _is_rotary(table.swapaxes(0, axis)):
        return None
    return f"{op.type} of a table of sines or cosines by a position that is only known at run time"


def _is_rotary(table: Any) -> bool:
    """Whether the first rows are sines or cosines of 0, 1, 2, ... in some column: the first frequency is always 1."""
    rows = min(ROTARY_ROWS, table.shape[0])
    if rows < 3 or table.dtype.kind != "f" or not bool((abs(table) <= 1).all()):
        return False
    first = table[:rows].reshape(rows, -1)
    if not bool(((first[0] == 0) | (first[0] == 1)).all()):
        return False
    return any(_is_column(first, wave) for wave in (math.cos, math.sin))


def _is_column(rows: Any, wave: Callable[[float], float]) -> bool:
    agree = abs(rows[0] - wave(0)) < ROTARY_ERROR
    for place in range(1, len(rows)):
        agree &= abs(rows[place] - wave(place)) < ROTARY_ERROR
    return bool(agree.any())


MASK_OVERFLOW = OpRule(
    code="ANE-AT-010",
    name="infinite-mask",
    summary="a mask of -inf, or beyond the range of fp16, in attention scores",
    severity=Severity.NUMERICS,
    evidence="A",
    confidence="H",
    ops=ATTENTION,
    why="""
        Apple writes that the engine doesn't handle an infinity in softmax as IEEE asks; what is beyond 65504 becomes
        one in fp16. Constants of over a million numbers aren't read.
    """,
    fix="Use -40000 (Apple) or -10000, which fp16 holds.",
    source=(
        f"{NEURAL_ENGINE_RULES}, lines 366 to 370; john-rocky/CoreML-LLM DECODE_STATE_LAYOUTS.md; "
        "apple/coremltools #2728"
    ),
    find=_overflow,
    fires="""
        q: fp16[1, 8, 64, 64]
        k: fp16[1, 8, 64, 64]
        s: fp16[1, 8, 64, 64] = matmul(x=q, y=k, transpose_y=True)
        m: fp16[1, 8, 64, 64] = add(x=s, y=fp16[1, 1, 64, 64](-inf))
        y: fp16[1, 8, 64, 64] = softmax(x=m, axis=-1)
        return y
    """,
    silent="""
        q: fp16[1, 8, 64, 64]
        k: fp16[1, 8, 64, 64]
        s: fp16[1, 8, 64, 64] = matmul(x=q, y=k, transpose_y=True)
        m: fp16[1, 8, 64, 64] = add(x=s, y=fp16[1, 1, 64, 64](-65504))
        y: fp16[1, 8, 64, 64] = softmax(x=m, axis=-1)
        return y
    """,
)

BUILT_MASK = FunctionRule(
    code="ANE-AT-011",
    name="mask-made-in-graph",
    summary="an attention mask made in the graph by band_part, cumsum, range_1d or by comparing int32",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=("ANE-OP", "ANE-DT"),
    evidence="B",
    confidence="H",
    why="""
        What makes it never runs on the engine (M4 with macOS 27.0.1: ANE-OP-002, ANE-OP-006, ANE-OP-013, and any op on
        int32); on an M1 a leading band_part took the following ops to the CPU with it. Comparisons in fp16 stay.
    """,
    fix="Store the mask as an fp16 constant, or take it as an fp16 input.",
    source=f"smpanaro/more-ane-transformers NOTES.md; {DISPATCH} (sections 0.4, 3.1)",
    find=_built,
    fires="""
        s: fp16[1, 8, 64, 64]
        p: int32[64, 1]
        c: bool[64, 64] = less_equal(x=int32[1, 64], y=p)
        m: fp16[1, 8, 64, 64] = select(cond=c, a=s, b=-40000.0)
        y: fp16[1, 8, 64, 64] = softmax(x=m, axis=-1)
        return y
    """,
    silent="""
        s: fp16[1, 8, 64, 64]
        p: fp16[64, 1]
        c: bool[64, 64] = less_equal(x=fp16[1, 64], y=p)
        m: fp16[1, 8, 64, 64] = select(cond=c, a=s, b=-40000.0)
        y: fp16[1, 8, 64, 64] = softmax(x=m, axis=-1)
        return y
    """,
)

CAST_MASK = FunctionRule(
    code="ANE-AT-012",
    name="mask-not-fp16",
    summary="a mask that is added to attention scores and cast to fp16 only in the graph",
    severity=Severity.WARNING,
    effect=Effect.DOUBT,
    evidence="E",
    confidence="M",
    why="""
        Notes on an M1 say that a causal mask has to be fp16. It also follows from the rules of element types: casts
        from int32 and work in fp32 leave the engine. An fp32 input that is cast at the edge is fine.
    """,
    fix="Store the mask as an fp16 constant, or take it as an fp16 input.",
    source="smpanaro/more-ane-transformers NOTES.md",
    find=_cast,
    fires="""
        s: fp16[1, 8, 64, 64]
        b: int32[1, 1, 64, 64]
        c: fp16[1, 1, 64, 64] = cast(x=b, dtype="fp16")
        n: fp16[1, 1, 64, 64] = mul(x=c, y=-40000.0)
        m: fp16[1, 8, 64, 64] = add(x=s, y=n)
        y: fp16[1, 8, 64, 64] = softmax(x=m, axis=-1)
        return y
    """,
    silent="""
        s: fp16[1, 8, 64, 64]
        b: fp32[1, 1, 64, 64]
        c: fp16[1, 1, 64, 64] = cast(x=b, dtype="fp16")
        n: fp16[1, 1, 64, 64] = mul(x=c, y=-40000.0)
        m: fp16[1, 8, 64, 64] = add(x=s, y=n)
        y: fp16[1, 8, 64, 64] = softmax(x=m, axis=-1)
        return y
    """,
)

ROTARY = OpRule(
    code="ANE-AT-014",
    name="rotary-lookup",
    summary="rotary positions looked up in a table inside the graph",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=("ANE-OP", "ANE-DT"),
    evidence="A",
    confidence="H",
    ops=("gather", "gather_nd", "gather_along_axis"),
    why="""
        Apple's rules advise against the lookup: what gather_nd returns there is refused, and indices made at run time
        leave the engine anyway (ANE-OP-022). A table is taken for sines or cosines where a column holds those
        of 0, 1, 2, ...; tables of over a million numbers aren't read.
    """,
    fix="Take the row of cosines and sines as an input, such as (1, head size, 1, positions).",
    source=f"{NEURAL_ENGINE_RULES}, line 378; apple/coreai-models common_issues.md",
    find=_rotary,
    fires="""
        p: int32[1]
        y: fp16[1, 2] = gather(x=[[1.0, 1.0], [0.5403, 0.99], [-0.416, 0.98]], indices=p, axis=0)
        return y
    """,
    silent="""
        p: int32[1]
        y: fp16[1, 2] = gather(x=[[0.3, 1.0], [0.5403, 0.99], [-0.416, 0.98]], indices=p, axis=0)
        return y
    """,
)

MASK_RULES = (MASK_OVERFLOW, BUILT_MASK, CAST_MASK, ROTARY)
