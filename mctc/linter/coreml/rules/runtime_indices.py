"""Gathers and slices at places that are only known at run time."""

from __future__ import annotations

from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import OF_FORM, Effect, OpRule, Severity, Sides
from mctc.linter.coreml.sources import DISPATCH
from mctc.linter.coreml.target import Target


def _gather(op: Op, _: Target) -> str | None:
    if op.is_constant("indices"):
        return None
    table = " of a constant table" if op.is_constant("x") else ""
    return f"{op.type}{table} by indices that are only known at run time"


def _gather_nd(op: Op, _: Target) -> str | None:
    if op.is_constant("indices"):
        return None
    return "gather_nd by indices that are only known at run time came out all zero on an iPhone"


def _slice(op: Op, _: Target) -> str | None:
    if op.is_constant("begin") or _all_masked(op):
        return None
    return f"{op.type} from a place that is only known at run time"


def _all_masked(op: Op) -> bool:
    """Whether every axis is taken from its start, whatever `begin` says."""
    mask = op.value("begin_mask")
    return hasattr(mask, "all") and bool(mask.all()) and len(mask) > 0


GATHER = OpRule(
    code="ANE-OP-022",
    name="gather-at-run-time",
    summary="gather by indices that are only known at run time",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("gather",),
    why="""
        On an M4 (macOS 27.0.1) the work on the indices (cast, compare, add, select) is the CPU's, and the gather itself
        is refused ("Unsupported gather index type"); with constant indices it stays on the engine. The lookup of a
        token in an embedding is this case, and so is a table of sines and cosines by position.
    """,
    fix="Look up on the host and take the row as an input; for small tables multiply by a one-hot vector.",
    source=(f"{DISPATCH} (sections 3.1, 3.2); apple/coremltools #1103; pytorch/executorch #11615"),
    find=_gather,
    fires="""
        i: int32[1, 16]
        y: fp16[1, 16, 64] = gather(x=fp16[1000, 64], indices=i, axis=0)
        return y
    """,
    silent="""
        x: fp16[1, 16, 64]
        y: fp16[1, 4, 64] = gather(x=x, indices=[0, 3, 5, 9], axis=1)
        return y
    """,
)
GATHER_LISTED = OpRule(
    code="ANE-OP-022c",
    name="lookup-at-run-time",
    summary="gather_nd and gather_along_axis by indices that are only known at run time",
    severity=Severity.WARNING,
    effect=Effect.DOUBT,
    evidence="BCE",
    confidence="M",
    ops=("gather_nd", "gather_along_axis"),
    sides=Sides(
        stays="the engine is among the backends of both on an M4 with macOS 27.0.1, by indices of 16 bits (751K)",
        leaves=(
            "in all four graphs of that study that have one the plan keeps it on the CPU, beside the casts and"
            " comparisons of its int32 indices; onnxruntime got the first slice for every index"
        ),
    ),
    why="""
        The engine may take the op, but not what prepares its indices: casts, comparisons and additions of int32 are the
        CPU's. So the op alone would have to pay for a segment of its own, and a lookup saves next to nothing.
    """,
    fix="Look up on the host and take the row as an input; for small tables multiply by a one-hot vector.",
    source=(
        "751K data/03_compile/opdispatch (ana/iso/gather_nd.mil, gather_along_axis.mil, plan_ctx_cpune.tsv); "
        "microsoft/onnxruntime #28598"
    ),
    find=_gather,
    fires="""
        x: fp16[1, 16, 64]
        i: int32[1, 2]
        y: fp16[1, 64] = gather_nd(x=x, indices=i)
        return y
    """,
    silent="""
        x: fp16[1, 16, 64]
        y: fp16[1, 64] = gather_nd(x=x, indices=[[0, 3]])
        return y
    """,
)
GATHER_ND = OpRule(
    code="ANE-OP-022b",
    name="gather-nd-at-run-time",
    summary="gather_nd by indices that are only known at run time: wrong rows were reported",
    severity=Severity.NUMERICS,
    evidence="BE",
    confidence="M",
    ops=("gather_nd",),
    why="""
        For some shapes Core ML gave slice 0 whatever the index was (onnxruntime's developers, 2026; they hand over
        constant indices alone, which are right). One report has zeros throughout on an iPhone, without an error.
        Negative indices do not count from the end there.
    """,
    fix="Use gather along one axis, look up on the host, or compare the output with the evaluator's.",
    source="microsoft/onnxruntime #28598; john-rocky/CoreML-LLM (PROBE notes on gather_nd)",
    find=_gather_nd,
    fires="""
        x: fp16[1, 16, 64]
        i: int32[1, 2]
        y: fp16[1, 64] = gather_nd(x=x, indices=i)
        return y
    """,
    silent="""
        x: fp16[1, 16, 64]
        y: fp16[1, 64] = gather_nd(x=x, indices=[[0, 3]])
        return y
    """,
)
SLICE = OpRule(
    code="ANE-OP-024",
    name="slice-at-run-time",
    summary="slice_by_size and slice_by_index from a place that is only known at run time",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("slice_by_size", "slice_by_index"),
    why="""
        On an M4 (macOS 27.0.1) slice_by_size with a begin made at run time is the CPU's; with a constant begin either
        slice stays on the engine.
    """,
    fix="Slice at fixed places, and move a mask over the whole instead.",
    source=f"{DISPATCH} (section 3.1)",
    find=_slice,
    fires="""
        x: fp16[1, 512, 64]
        b: int32[3]
        y: fp16[1, 16, 64] = slice_by_size(x=x, begin=b, size=[1, 16, 64])
        return y
    """,
    silent="""
        x: fp16[1, 512, 64]
        y: fp16[1, 16, 64] = slice_by_size(x=x, begin=[0, 32, 0], size=[1, 16, 64])
        return y
    """,
)
