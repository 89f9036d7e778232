"""Programs that mean something else than what was converted, whatever runs them (ANE-NM)."""

from __future__ import annotations

from mctc.linter.coreml.forms import whole
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import OpRule, Severity
from mctc.linter.coreml.target import Target
from mctc.linter.coreml.trace import VIEWS, after
from mctc.package import Reference

NARROW = {"int16": 32767, "uint16": 65535}
"""The largest number of each type that coremltools narrows int32 to."""
LOOKUPS = ("gather", "gather_along_axis", "gather_nd")


def _itself(op: Op, _: Target) -> str | None:
    x, y = op.bindings("x"), op.bindings("y")
    if not x or x != y or not isinstance(x[0], Reference) or "fp" not in (op.dtype("x") or ""):
        return None  # whole numbers have no remainder by 1; of them it is a way to write zeros
    return f"{x[0].name} less itself: 0, whatever comes in"


def _narrowed(op: Op, _: Target) -> str | None:
    most = NARROW.get(op.result.dtype) if op.result is not None else None
    if most is None or op.dtype("x") != "int32" or op.is_constant("x"):
        return None
    names = {result.name for result in op.results}
    for each in after(op, VIEWS):
        if each.type in VIEWS:
            names |= {result.name for result in each.results}
        if each.type in LOOKUPS and any(getattr(binding, "name", "") in names for binding in each.bindings("indices")):
            extent = _longest(each)
            if extent is not None and extent > most + 1:
                return f"indices of an axis of {extent} as {op.result.dtype if op.result else ''}, which ends at {most}"
    return None


def _longest(op: Op) -> int | None:
    """The longest axis that a lookup's indices go along."""
    shape = op.shape("x")
    if not shape:
        return None
    if op.type == "gather_nd":
        places, skipped = op.shape("indices"), whole(op.value("batch_dims", 0)) or 0
        count = places[-1] if places else None
        found = shape[skipped : skipped + count] if count else ()
    else:
        axis = whole(op.value("axis", 0))
        found = (shape[axis],) if axis is not None and -len(shape) <= axis < len(shape) else ()
    known = [extent for extent in found if extent is not None]
    return max(known, default=None)


ITSELF = OpRule(
    code="ANE-NM-021",
    name="value-less-itself",
    summary="a value is subtracted from itself: what x % 1 becomes in coremltools 9",
    severity=Severity.NUMERICS,
    evidence="BM",
    confidence="H",
    ops=("sub",),
    why="""
        coremltools writes x % y as x - floor_div(x, y) * y and drops a floor_div by 1 as if it did nothing, so that
        x % 1 is x - x: zeros, without a word. In a vocoder the phase, (f0 / rate) % 1, was lost that way and with it
        the voice. Seen with the CPU alone (macOS, coremltools up to 9.0).
    """,
    fix="Write x - floor(x) before the conversion.",
    source="apple/coremltools #2836 (converted again: coremltools 9.0 writes sub(x, x))",
    find=_itself,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = sub(x=x, y=x)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        f: fp16[1, 64] = floor(x=x)
        y: fp16[1, 64] = sub(x=x, y=f)
        return y
    """,
)

NARROWED = OpRule(
    code="ANE-NM-022",
    name="narrowed-indices",
    summary="indices are narrowed to 16 bits that the axis they go along doesn't fit",
    severity=Severity.NUMERICS,
    evidence="EM",
    confidence="M",
    ops=("cast",),
    why="""
        coremltools narrows the int32 operands of gather_nd, squeeze and topk to int16 without a look at the axis (of
        gather and gather_along_axis it looks). Indices from 32768 on come out negative and take other rows: half of a
        vocabulary of 50,000, say.
    """,
    fix="Convert without the pass common::add_int16_cast, or use gather along one axis.",
    source="kasper0406/stablehlo-coreml #107; apple/coremltools passes/defs/quantization.py (add_int16_cast), #2222",
    find=_narrowed,
    fires="""
        t: fp16[50000, 256]
        i: int32[1, 1]
        n: int16[1, 1] = cast(x=i, dtype="int16")
        y: fp16[1, 256] = gather_nd(x=t, indices=n)
        return y
    """,
    silent="""
        t: fp16[32768, 256]
        i: int32[1, 1]
        n: int16[1, 1] = cast(x=i, dtype="int16")
        y: fp16[1, 256] = gather_nd(x=t, indices=n)
        return y
    """,
)

CONVERTED_WRONG = (ITSELF, NARROWED)
