"""Numbers that go wrong on the engine (ANE-NM), told from one op and its neighbours."""

from __future__ import annotations

from typing import Any

from mctc.hardware.families import up_to
from mctc.linter.coreml.bounds import bounds, extremes, magnitude
from mctc.linter.coreml.forms import axis
from mctc.linter.coreml.graph import Op, elements
from mctc.linter.coreml.rule import OpRule, Severity
from mctc.linter.coreml.sources import DEFECTS, GUIDE
from mctc.linter.coreml.target import Scope, Target
from mctc.linter.coreml.trace import behind_views

ACCUMULATOR = 32768
"""Where sums of products stick at infinity (Q15.16)."""
MANY_KEYS = 4096
"""Keys over which a product of probabilities and values was 5 % off; over 1024 it was 1 %."""
SCALES = 4096
"""Scales of one op up to which they are compared."""


def _bias(op: Op, _: Target) -> str | None:
    constant = op.constant("bias")
    found = magnitude(extremes(constant)) if constant is not None else None
    if found is None or found < ACCUMULATOR:
        return None
    return f"a bias of magnitude {found:g}: sums saturate from {ACCUMULATOR} on"


def _sliced(op: Op, target: Target) -> str | None:
    limit = target.family.slice_magnitude
    if limit is None or op.dtype("x") != "fp16" or not _starts_inside(op):
        return None
    largest = magnitude(bounds(op, "x"))
    if largest is not None and largest <= limit:
        return None
    return f"a slice off the start of the last axis: values over {limit:g} become infinite"


def _starts_inside(op: Op) -> bool:
    """Whether a slice at a fixed place leaves out the start of the last axis."""
    constant = op.constant("begin")
    if constant is None or elements(constant.type) > 32 or "int" not in (op.dtype("begin") or ""):
        return False
    begin, mask = op.numbers("begin"), op.value("begin_mask")
    masked = bool(mask[-1]) if hasattr(mask, "__len__") and len(mask) == len(begin) and begin else False
    return bool(begin) and begin[-1] != 0 and not masked


def _rounded(op: Op, _: Target) -> str | None:
    return "round: an M6 takes halves away from zero, an M1 to even" if op.dtype("x") == "fp16" else None


def _wave(op: Op, _: Target) -> str | None:
    return f"{op.type} in fp16: errors of 0.04 to 0.12 were measured" if op.dtype("x") == "fp16" else None


def _two_scales(op: Op, _: Target) -> str | None:
    branches = [_scale(made) for made in map(op.producer, "xy") if made is not None and _is_branch(made)]
    inside = [scale for scale in branches if scale is not None]
    if not inside:
        return None
    for user in op.users()[:4]:
        outside = _scale(user) if user.type == "quantize" else None
        if outside is not None and any(scale != outside for scale in inside):
            return "mul of quantised values, quantised again with another scale: the engine takes the wrong one"
    return None


def _is_branch(op: Op) -> bool:
    """Whether this is the end of a quantize and dequantize."""
    made = op.producer("input") if op.type == "dequantize" else None
    return made is not None and made.type == "quantize"


def _scale(op: Op) -> Any:
    """An op's scale, or its scales; None where they can't be read."""
    constant = op.constant("scale")
    if constant is None or elements(constant.type) > SCALES:
        return None
    found = op.value("scale")
    return found.tolist() if hasattr(found, "tolist") else found


def _small_products(op: Op, _: Target) -> str | None:
    """Probabilities straight out of a softmax over many keys, times values."""
    for operand in "xy":
        softmax = behind_views(op, operand)
        if softmax is None or softmax.type != "softmax":
            continue
        shape, along = softmax.shape("x"), axis(softmax, -1)
        keys = shape[along] if shape is not None and along is not None and 0 <= along < len(shape) else None
        if keys is not None and keys >= MANY_KEYS:
            return f"probabilities over {keys} keys times values: over {MANY_KEYS} the sum was 5 % off"
    return None


BIAS = OpRule(
    code="ANE-NM-003",
    name="saturating-bias",
    summary="a convolution or linear whose bias holds magnitudes from 32768 on",
    severity=Severity.NUMERICS,
    evidence="C",
    confidence="M",
    ops=("conv", "conv_transpose", "linear"),
    why="""
        Sums of products are kept with 15 bits before the point: from 32768 on they stick at infinity (M6; ane-guide saw
        it on M1, M2 and M5). A file shows it for the bias alone, as where one masks classes with it; other sums depend
        on the values.
    """,
    fix="Mask with -10000, or add the mask after the product.",
    source=f"{DEFECTS} (C2); {GUIDE} numeric cliffs",
    find=_bias,
    fires="""
        x: fp16[1, 64, 1, 16]
        y: fp16[1, 32, 1, 16] = conv(x=x, weight=fp16[32, 64, 1, 1], bias=fp16[32](-32768))
        return y
    """,
    silent="""
        x: fp16[1, 64, 1, 16]
        y: fp16[1, 32, 1, 16] = conv(x=x, weight=fp16[32, 64, 1, 1], bias=fp16[32](-32752))
        return y
    """,
)

SLICE = OpRule(
    code="ANE-NM-004",
    name="slice-overflow",
    summary="a slice off the start of the last axis of large values, on M1- and M2-class chips",
    severity=Severity.NUMERICS,
    evidence="C",
    confidence="M",
    scope=Scope(families=up_to("H14")),
    ops=("slice_by_index", "slice_by_size"),
    why="""
        Such a slice goes through fixed-point numbers with a factor of 16, so that values over 4094 come out infinite
        (measured past Core ML; gone from H15). How large the values get, a file doesn't tell.
    """,
    fix="Slice along another axis, or mask; or keep the values small.",
    source=f"{GUIDE} chapter 3, appendix A",
    find=_sliced,
    fires="""
        x: fp16[1, 8, 64, 64]
        y: fp16[1, 8, 64, 32] = slice_by_index(x=x, begin=[0, 0, 0, 32], end=[1, 8, 64, 64])
        return y
    """,
    silent="""
        x: fp16[1, 8, 64, 64]
        y: fp16[1, 8, 64, 32] = slice_by_index(x=x, begin=[0, 0, 0, 0], end=[1, 8, 64, 32])
        return y
    """,
)

ROUND = OpRule(
    code="ANE-NM-007",
    name="round-of-halves",
    summary="round, whose halves go either way by chip",
    severity=Severity.NUMERICS,
    evidence="C",
    confidence="L",
    ops=("round",),
    why="""
        On an M6 halves were rounded away from zero, on an M1 to the nearest even number, both past Core ML. Whether a
        half ever comes, a file doesn't tell.
    """,
    fix="Don't depend on halves: add a small offset, or use floor.",
    source=f"{DEFECTS} (C5); {GUIDE} 03-numerics, line 189",
    find=_rounded,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = round(x=x)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        y: fp16[1, 64] = floor(x=x)
        return y
    """,
)

WAVE = OpRule(
    code="ANE-NM-008",
    name="coarse-sine",
    summary="sin, cos and atan in fp16 are coarse on the engine",
    severity=Severity.NUMERICS,
    evidence="C",
    confidence="M",
    ops=("sin", "cos", "atan"),
    why="ane-guide measured errors of 0.04 to 0.12 past Core ML. Whether that matters, a file doesn't tell.",
    fix="Store a table as a constant, or work them out on the host.",
    source=f"{GUIDE} 03-numerics",
    find=_wave,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = cos(x=x)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        y: fp16[1, 64] = tanh(x=x)
        return y
    """,
)

TWO_SCALES = OpRule(
    code="ANE-NM-009",
    name="product-of-two-scales",
    summary="a product of quantised values that is quantised again with another scale",
    severity=Severity.NUMERICS,
    evidence="B",
    confidence="H",
    ops=("mul",),
    why="""
        The engine dequantises with the wrong branch's scale: a probe of ones came back as 2, 4 or 8, through Core ML as
        well as Core AI (M5 Pro, macOS 27.0, coremltools 9.0); the CPU is right. A Gemma 4 MLP was off by 339 %.
    """,
    fix="Put a clip to the representable range behind the product, or give all three the same scale.",
    source="cadamcat/llms-on-apple-neural-engine findings/coreai-qdq-multiply-scale; apple/coreai-torch #112",
    find=_two_scales,
    fires="""
        a: fp16[1, 64]
        b: fp16[1, 64]
        q: int8[1, 64] = quantize(input=a, scale=0.5, output_dtype="int8")
        d: fp16[1, 64] = dequantize(input=q, scale=0.5)
        m: fp16[1, 64] = mul(x=d, y=b)
        r: int8[1, 64] = quantize(input=m, scale=0.25, output_dtype="int8")
        y: fp16[1, 64] = dequantize(input=r, scale=0.25)
        return y
    """,
    silent="""
        a: fp16[1, 64]
        b: fp16[1, 64]
        q: int8[1, 64] = quantize(input=a, scale=0.5, output_dtype="int8")
        d: fp16[1, 64] = dequantize(input=q, scale=0.5)
        m: fp16[1, 64] = mul(x=d, y=b)
        r: int8[1, 64] = quantize(input=m, scale=0.5, output_dtype="int8")
        y: fp16[1, 64] = dequantize(input=r, scale=0.5)
        return y
    """,
)

SMALL_PRODUCTS = OpRule(
    code="ANE-NM-010",
    name="small-probabilities",
    summary="softmax over 4096 or more keys, straight into the product with the values",
    severity=Severity.NUMERICS,
    evidence="B",
    confidence="L",
    ops=("matmul",),
    why="""
        Each probability is then about 0.0002 and its product smaller still: the sum over 4096 keys was 5.2 % off, over
        1024 keys 1.0 %, with probabilities times 64 0.06 % (seen in Core AI on an M5 Pro with made-up inputs; real
        attention is more concentrated).
    """,
    fix="Multiply the probabilities by 64 and divide the result by 64, or normalise after the product.",
    source="cadamcat/llms-on-apple-neural-engine findings/attention-product-precision",
    find=_small_products,
    fires="""
        s: fp16[1, 8, 64, 4096]
        v: fp16[1, 8, 4096, 64]
        p: fp16[1, 8, 64, 4096] = softmax(x=s, axis=-1)
        y: fp16[1, 8, 64, 64] = matmul(x=p, y=v)
        return y
    """,
    silent="""
        s: fp16[1, 8, 64, 4096]
        v: fp16[1, 8, 4096, 64]
        p: fp16[1, 8, 64, 4096] = softmax(x=s, axis=-1)
        m: fp16[1, 8, 64, 4096] = mul(x=p, y=64.0)
        y: fp16[1, 8, 64, 64] = matmul(x=m, y=v)
        return y
    """,
)

NUMERIC_OPS = (BIAS, SLICE, ROUND, WAVE, TWO_SCALES, SMALL_PRODUCTS)
