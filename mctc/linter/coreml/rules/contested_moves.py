"""Ops that only move elements, seen on the engine and off it."""

from __future__ import annotations

from itertools import pairwise

from mctc.hardware.families import up_to
from mctc.linter.coreml.forms import rank
from mctc.linter.coreml.graph import Op, elements
from mctc.linter.coreml.rule import Effect, OpRule, Severity, Sides
from mctc.linter.coreml.sources import DISPATCH, GUIDE, PROBE, SWEEP
from mctc.linter.coreml.target import Scope, Target

INDICES = 4096
"""Constant indices up to which a gather is looked at."""


def _picked(op: Op, _: Target) -> str | None:
    constant = op.constant("indices")
    if constant is None or elements(constant.type) > INDICES or "int" not in (op.dtype("indices") or ""):
        return None
    indices = op.numbers("indices")
    if not indices:
        return None
    steps = {after - before for before, after in pairwise(indices)}
    if steps and (len(steps) > 1 or min(steps) <= 0):
        return None
    return "gather at constant, evenly spaced indices is a slice"


def _update(op: Op, _: Target) -> str:
    if op.is_constant("begin") and op.is_constant("end"):
        return f"{op.type} at a fixed place: contested"
    return f"{op.type} at a place that is only known at run time: contested, and likely off the engine"


def _sampled(op: Op, target: Target) -> str:
    return f"{op.type} was measured on the engine from H16 on; {target.family.name} may lack it"


def _interleaved(op: Op, _: Target) -> str | None:
    """Tile, a view of rank 5, transpose, reshape: what coremltools makes of torch's repeat_interleave."""
    for split in _users(op, "reshape"):
        wide = split.result is not None and rank(split.result.shape) == 5
        if wide and any(_users(turned, "reshape") for turned in _users(split, "transpose")):
            return "tile, a view of rank 5, transpose and reshape: repeat_interleave as coremltools writes it"
    return None


def _users(op: Op, type_: str) -> list[Op]:
    return [user for user in op.users()[:4] if user.type == type_]


PICKED = OpRule(
    code="ANE-OP-023",
    name="indexing-as-gather",
    summary="a gather at constant, evenly spaced indices, where a slice would do",
    severity=Severity.INFO,
    evidence="E",
    confidence="L",
    ops=("gather",),
    why="""
        One report saw plain tensor indexing arrive as a gather that was not on the engine; on an M4 (macOS 27.0.1)
        gathers at constant indices are.
    """,
    fix="Write it as a slice (slice_by_index), with a stride where the indices skip.",
    source=f"pytorch/executorch #11615; {DISPATCH} (section 3.2)",
    find=_picked,
    fires="""
        x: fp16[1, 16, 64]
        y: fp16[1, 64] = gather(x=x, indices=3, axis=1)
        return y
    """,
    silent="""
        x: fp16[1, 16, 64]
        y: fp16[1, 3, 64] = gather(x=x, indices=[0, 3, 5], axis=1)
        return y
    """,
)
UPDATE = OpRule(
    code="ANE-OP-025",
    name="slice-update",
    summary="slice_update, seen on the engine and off it",
    severity=Severity.WARNING,
    effect=Effect.DOUBT,
    evidence="ABC",
    confidence="L",
    sides=Sides(
        stays=(
            "a comment of coremltools' says that it may reside on the engine (ops.py, beside index_put); works inside"
            " stateful models on an iPhone 17 Pro (john-rocky/CoreML-LLM)"
        ),
        leaves=(
            f"absent from an M4's supported set ({PROBE}); refused on an M5 ({SWEEP}); with indices made at run time it"
            " crashes the compiler of Core AI, with constant ones not (apple/coreai-torch #6)"
        ),
    ),
    ops=("slice_update", "torch_tensor_assign"),
    why="""
        Whether the indices are constant is likely what divides the reports. With several states the CPU was seen to
        miscompute it (CoreML-LLM).
    """,
    fix="Write the full width through a mask: x * keep + new * onehot.",
    source=f"apple/coremltools ops.py; {PROBE}; {SWEEP}; apple/coreai-torch #6; john-rocky/CoreML-LLM",
    find=_update,
    fires="""
        x: fp16[1, 64, 1, 512]
        u: fp16[1, 64, 1, 16]
        y: fp16[1, 64, 1, 512] = slice_update(x=x, update=u, begin=[0, 0, 0, 16], end=[1, 64, 1, 32])
        return y
    """,
    silent="""
        x: fp16[1, 64, 1, 512]
        u: fp16[1, 64, 1, 512]
        m: bool[1, 1, 1, 512]
        y: fp16[1, 64, 1, 512] = select(cond=m, a=u, b=x)
        return y
    """,
)
SAMPLED = OpRule(
    code="ANE-OP-026",
    name="sampling-on-old-chips",
    summary="resample (grid_sample) and affine before H16",
    severity=Severity.WARNING,
    effect=Effect.DOUBT,
    evidence="B",
    confidence="M",
    scope=Scope(families=up_to("H15")),
    ops=("resample", "affine"),
    why="""
        In 2023 neither GPU nor engine took resample; on an M4 with macOS 27.0.1 both ops are placed on the engine.
        ane-guide finds them tied to the family: not on an M1. M2 and M3 were not measured.
    """,
    fix="Check it on the oldest chip that matters, or use resize with fixed factors.",
    source=f"apple/coremltools #1875; {DISPATCH} (section 3.2); {GUIDE} appendix A",
    find=_sampled,
    fires="""
        x: fp16[1, 3, 64, 64]
        c: fp16[1, 32, 32, 2]
        y: fp16[1, 3, 32, 32] = resample(x=x, coordinates=c, sampling_mode="bilinear", padding_mode="constant",
            padding_value=0.0, coordinates_mode="normalized_minus_one_to_one", align_corners=False)
        return y
    """,
    silent="""
        x: fp16[1, 3, 64, 64]
        y: fp16[1, 3, 128, 128] = upsample_bilinear(x=x, scale_factor_height=2.0, scale_factor_width=2.0)
        return y
    """,
)
INTERLEAVED = OpRule(
    code="ANE-OP-028",
    name="repeat-interleave",
    summary="repeat_interleave, written as tile, a view of rank 5, transpose and reshape",
    severity=Severity.WARNING,
    effect=Effect.DOUBT,
    evidence="E",
    confidence="M",
    ops=("tile",),
    why="ExecuTorch's export of language models keeps repeat_interleave away from the engine; it doesn't say why.",
    fix="Repeat heads by concat or expand, or keep one product for each group of heads.",
    source="pytorch/executorch examples/apple/coreml/llama; pytorch/executorch #16144",
    find=_interleaved,
    fires="""
        x: fp16[8, 1, 128, 64]
        t: fp16[32, 1, 128, 64] = tile(x=x, reps=[4, 1, 1, 1])
        s: fp16[4, 8, 1, 128, 64] = reshape(x=t, shape=[4, 8, 1, 128, 64])
        p: fp16[8, 4, 1, 128, 64] = transpose(x=s, perm=[1, 0, 2, 3, 4])
        y: fp16[32, 1, 128, 64] = reshape(x=p, shape=[-1, 1, 128, 64])
        return y
    """,
    silent="""
        x: fp16[1, 8, 1, 128, 64]
        t: fp16[1, 8, 4, 128, 64] = tile(x=x, reps=[1, 1, 4, 1, 1])
        y: fp16[1, 32, 128, 64] = reshape(x=t, shape=[1, 32, 128, 64])
        return y
    """,
)
