"""Ops on which Core ML's runtime was seen to fail, whatever the engine does (ANE-MM, ANE-OP)."""

from __future__ import annotations

from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import OpRule, Severity
from mctc.linter.coreml.target import Target


def _vector(op: Op, _: Target) -> str | None:
    for operand in ("x", "y"):
        shape = op.shape(operand)
        if shape is not None and len(shape) == 1:
            return f"matmul with {operand} of one axis"
    return None


def _integers(op: Op, _: Target) -> str | None:
    return "matmul of int32" if "int32" in (op.dtype("x"), op.dtype("y")) else None


def _recurrent(op: Op, _: Target) -> str:
    return f"{op.type}: with the GPU allowed, the second prediction of a process was seen to abort"


VECTOR = OpRule(
    code="ANE-MM-008",
    name="matmul-of-a-vector",
    summary="a matmul with an operand of one axis",
    severity=Severity.WARNING,
    evidence="B",
    confidence="M",
    ops=("matmul",),
    why="""
        Core ML's prediction crashed on one (macOS 14), and onnxruntime keeps such products from it. coremltools before
        its fix of May 2026 also declares a wrong shape for the result: (4) times (10, 4, 3) as (1, 3).
    """,
    fix="Give the vector a second axis with expand_dims, and squeeze the result.",
    source="apple/coremltools #2263, #2719; microsoft/onnxruntime #21186",
    find=_vector,
    fires="""
        x: fp16[64]
        y: fp16[32] = matmul(x=x, y=fp16[64, 32])
        return y
    """,
    silent="""
        x: fp16[1, 64]
        y: fp16[1, 32] = matmul(x=x, y=fp16[64, 32])
        return y
    """,
)

INTEGERS = OpRule(
    code="ANE-MM-009",
    name="integer-matmul",
    summary="a matmul of int32 tensors: the model doesn't load",
    severity=Severity.WARNING,
    evidence="B",
    confidence="M",
    ops=("matmul",),
    why="""
        A conversion of torch.mm over int32 failed while it was loaded: no execution plan, error code -14 (July 2025,
        still open). The format permits the op.
    """,
    fix="Cast to fp16 or fp32 before the product, where the numbers permit.",
    source="apple/coremltools #2575",
    find=_integers,
    fires="""
        x: int32[4, 8]
        z: int32[8, 2]
        y: int32[4, 2] = matmul(x=x, y=z)
        return y
    """,
    silent="""
        x: fp16[4, 8]
        z: fp16[8, 2]
        y: fp16[4, 2] = matmul(x=x, y=z)
        return y
    """,
)

RECURRENT_ON_GPU = OpRule(
    code="ANE-OP-029",
    name="recurrent-op-on-gpu",
    summary="lstm, gru or rnn: with the GPU allowed, the second prediction was seen to abort",
    severity=Severity.INFO,
    evidence="B",
    confidence="L",
    ops=("lstm", "gru", "rnn"),
    why="""
        On an M5 Pro with macOS 26.5 and 26.6, Kokoro's prosody model ended in an assertion of GPURNNOps ("JIT not
        supported") at its second prediction where the GPU was allowed. The CPU's code for the same models crashed in
        26.4 and 26.5 and runs in 26.6.
    """,
    fix="Load the model with CPU_AND_NE, or write the cell with products and gates.",
    source="FluidInference/FluidAudio #667, #817, #818",
    find=_recurrent,
    fires="""
        x: fp16[8, 1, 16]
        h: fp16[1, 16]
        c: fp16[1, 16]
        y: (fp16[8, 1, 16], fp16[1, 16], fp16[1, 16]) = lstm(
            x=x, initial_h=h, initial_c=c, weight_ih=fp16[64, 16], weight_hh=fp16[64, 16]
        )
        return y
    """,
    silent="""
        x: fp16[1, 16, 1, 8]
        y: fp16[1, 64, 1, 8] = conv(x=x, weight=fp16[64, 16, 1, 1])
        return y
    """,
)
