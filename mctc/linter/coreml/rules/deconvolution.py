"""Transposed convolutions cut to a size of their own (ANE-CV)."""

from __future__ import annotations

from mctc.linter.coreml.forms import dilations, kernel, strides
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import OpRule, Severity
from mctc.linter.coreml.target import Target


def _cut(op: Op, _: Target) -> str | None:
    wanted, shape = op.numbers("output_shape")[2:], op.shape("x")
    if not wanted or shape is None or len(shape) != len(wanted) + 2:
        return None
    kind = str(op.value("pad_type", "valid")).lower()
    steps, taps, spread = strides(op), kernel(op), dilations(op)
    pad = op.numbers("pad") if kind == "custom" else ()
    if not len(wanted) == len(steps) == len(taps) == len(spread) or (pad and len(pad) != 2 * len(wanted)):
        return None
    natural = []
    for place, extent in enumerate(shape[2:]):
        if extent is None:
            return None
        whole = (extent - 1) * steps[place] + (taps[place] - 1) * spread[place] + 1
        around = pad[2 * place] + pad[2 * place + 1] if pad else 0
        natural.append(extent * steps[place] if kind.startswith("same") else whole - around)
    if tuple(natural) == wanted:
        return None
    return f"cut to {_told(wanted)} from {_told(natural)}: which part is left depends on what computes it"


def _told(extents: tuple[int, ...] | list[int]) -> str:
    return "x".join(map(str, extents))


CUT = OpRule(
    code="ANE-CV-017",
    name="cut-deconvolution",
    summary="a transposed convolution whose output_shape is not what its padding gives",
    severity=Severity.NUMERICS,
    evidence="BM",
    confidence="M",
    ops=("conv_transpose",),
    why="""
        With an output_shape of 4x4 for a result of 6x6 the CPU gave one part and the other units another. Apple closed
        the report as none of the converter's; onnxruntime keeps such nodes from Core ML. The documentation doesn't say
        which part is meant.
    """,
    fix="Leave output_shape out, and cut with pad_type custom or a slice.",
    source="apple/coremltools #2281; microsoft/onnxruntime #21416",
    find=_cut,
    fires="""
        x: fp16[1, 3, 4, 4]
        y: fp16[1, 3, 4, 4] = conv_transpose(x=x, weight=fp16[3, 3, 3, 3], output_shape=[1, 3, 4, 4])
        return y
    """,
    silent="""
        x: fp16[1, 3, 4, 4]
        y: fp16[1, 3, 6, 6] = conv_transpose(x=x, weight=fp16[3, 3, 3, 3], output_shape=[1, 3, 6, 6])
        return y
    """,
)
