"""Gathers."""

from __future__ import annotations

from mctc.linter.coreml.forms import rank, times
from mctc.linter.coreml.graph import Op, elements
from mctc.linter.coreml.rule import Effect, OpRule, Severity
from mctc.linter.coreml.sources import GUIDE
from mctc.linter.coreml.target import Scope, Target

GATHER_ELEMENTS = 3


def _static_gather(op: Op, _: Target) -> str | None:
    data, indices = op.shape("x") or (), op.tensor("indices")
    if op.is_constant("x") or indices is None or not op.is_constant("indices"):
        return None
    if data[:1] == (1,) and elements(indices) == GATHER_ELEMENTS:
        return None
    return f"a gather of {elements(indices)} constant indices from a tensor of {_written(data)}"


def _written(shape: tuple[int | None, ...]) -> str:
    if not shape or None in shape:
        return "unknown extents" if shape else "unknown rank"
    return times(tuple(extent or 0 for extent in shape))


def _gather_form(op: Op, _: Target) -> str | None:
    if not op.is_constant("axis"):
        return "a gather along a computed axis"
    count = rank(op.shape("x"))
    return f"a gather from a tensor of rank {count}" if count > 4 else None


GATHERS = (
    OpRule(
        code="ANE-GA-001",
        name="static-gather-on-m1",
        summary="a gather with constant indices, for an M1, beyond one batch and three indices",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="C",
        confidence="M",
        scope=Scope(families=frozenset({"H13"})),
        ops=("gather",),
        why="""
                An M1 gathers in software, for a batch of 1 and three indices only; past Core ML its compiler aborts on
                anything else. Through Core ML, gathers with constant indices are placed on an M4; an M1 was not tried.
            """,
        fix="""
                Slice and concatenate instead.
            """,
        source=f"{GUIDE} chapter 4",
        find=_static_gather,
        fires="""
                x: fp16[1, 64, 32]
                y: fp16[1, 64, 4] = gather(x=x, indices=[0, 9, 3, 1], axis=2, batch_dims=0)
                return y
            """,
        silent="""
                x: fp16[1, 64, 32]
                y: fp16[1, 64, 3] = gather(x=x, indices=[0, 9, 3], axis=2, batch_dims=0)
                return y
            """,
    ),
    OpRule(
        code="ANE-GA-002",
        name="gather-form",
        summary="a gather from a tensor of rank 5, or along a computed axis",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="DE",
        confidence="M",
        ops=("gather",),
        why="""
                The compiler holds a message that refuses a computed axis; ONNX Runtime keeps gathers from tensors of
                more than rank 4 off Core ML, as loading them ended in an invalid rank of 6.
            """,
        fix="""
                Reshape the tensor to rank 4 or less in front of the gather; give a constant axis.
            """,
        source="pkhairkh/MILLer (strings of ANECompiler); onnxruntime PR #28278",
        find=_gather_form,
        fires="""
                x: fp16[1, 2, 4, 8, 16]
                y: fp16[1, 2, 4, 8, 3] = gather(x=x, indices=[0, 9, 3], axis=4, batch_dims=0)
                return y
            """,
        silent="""
                x: fp16[1, 8, 8, 16]
                y: fp16[1, 8, 8, 3] = gather(x=x, indices=[0, 9, 3], axis=3, batch_dims=0)
                return y
            """,
    ),
)
