"""Ops that sources disagree about, that only some chips take, or that are better written another way (ANE-OP)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from mctc.hardware.families import up_to
from mctc.linter.coreml.forms import rank
from mctc.linter.coreml.graph import Op, elements
from mctc.linter.coreml.placement import Placement
from mctc.linter.coreml.rule import Effect, Hit, OpRule, PlacementRule, Severity, Sides
from mctc.linter.coreml.segment import Backend
from mctc.linter.coreml.sources import DISPATCH, GUIDE, PROBE, SWEEP
from mctc.linter.coreml.target import Scope, Target

BOXES = 2048
"""Input boxes of a non-maximum suppression, by a message of Apple's compiler."""
INDICES = 4096
"""Constant indices up to which a gather is looked at."""


def _sine(op: Op, target: Target) -> str:
    return f"{op.type} is taken apart before {target.family.name} gets it: the engine has it from H15 on"


def _suppression(op: Op, _: Target) -> str:
    shape = op.shape("boxes")
    boxes = shape[-2] if shape is not None and len(shape) > 1 else None
    if boxes is not None and boxes > BOXES:
        return f"non_maximum_suppression of {boxes} boxes: Apple's compiler refuses more than {BOXES}"
    return "non_maximum_suppression is likely the CPU's"


def _topk(op: Op, _: Target) -> str:
    count, shape, axis = op.value("k"), op.shape("x"), op.value("axis", -1)
    known = shape is not None and isinstance(axis, int) and -len(shape) <= axis < len(shape)
    wide = shape[axis] if known and shape is not None else None
    of = f" of {wide}" if wide is not None else ""
    return f"topk with k={count}{of}: seen on the engine and off it"


def _slow_topk(placement: Placement, _: Target) -> Iterator[Hit]:
    for op, backend in zip(placement.function.ops, placement.path, strict=True):
        if op.type == "topk" and backend is Backend.ANE:
            cost = placement.costs[op.position].ane / 1000
            yield Hit(f"topk on the engine, where Core ML estimates {cost:.2f} ms: an M4 took 6 to 10 ms", op)


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


def _no_engine_code(op: Op, _: Target) -> str | None:
    if op.type == "identity":
        return "the function is nothing but identity" if len(op.function.ops) == 1 else None
    return f"{op.type} has no code for the engine"


SINE = OpRule(
    code="ANE-OP-012",
    name="sine-on-old-chips",
    summary="sin and cos on M1- and M2-class chips",
    severity=Severity.WARNING,
    effect=Effect.DOUBT,
    evidence="D",
    confidence="M",
    scope=Scope(families=up_to("H14")),
    ops=("sin", "cos"),
    why="""
        ane-guide reads in the compiler that families before H15 don't have them and get a decomposition. On an M4
        (macOS 27.0.1) Core ML places them on the engine.
    """,
    fix="Store sines and cosines as a constant, or take them as inputs.",
    source=f"{GUIDE} appendix A; {DISPATCH} (section 3.2); jafreck/ironmill op-support-matrix",
    find=_sine,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = sin(x=x)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        y: fp16[1, 64] = tanh(x=x)
        return y
    """,
)

SUPPRESSION = OpRule(
    code="ANE-OP-018",
    name="box-suppression",
    summary="non_maximum_suppression, likely the CPU's",
    severity=Severity.WARNING,
    effect=Effect.DOUBT,
    evidence="BD",
    confidence="M",
    ops=("non_maximum_suppression",),
    why="""
        Absent from an M4's supported set (macOS 27.0); 751K could not test it. A message in Apple's compiler says that
        more than 2048 input boxes can't run on the engine, so smaller ones may.
    """,
    fix="Hand boxes and scores out and suppress on the host.",
    source=f"{PROBE}; {DISPATCH} (section 2.1); {GUIDE} appendix A",
    find=_suppression,
    fires="""
        b: fp16[1, 4096, 4]
        s: fp16[1, 4096, 80]
        y: (fp16[1, 100, 4], fp16[1, 100, 80], int32[1, 100], int32[1]) = non_maximum_suppression(
            boxes=b, scores=s, iou_threshold=0.5, score_threshold=0.1, max_boxes=100)
        return y
    """,
    silent="""
        b: fp16[1, 4096, 4]
        y: fp16[1, 4096, 4] = clip(x=b, alpha=0.0, beta=1.0)
        return y
    """,
)

TOPK = OpRule(
    code="ANE-OP-020",
    name="topk",
    summary="topk, seen on the engine and off it",
    severity=Severity.WARNING,
    effect=Effect.DOUBT,
    evidence="B",
    confidence="L",
    sides=Sides(
        stays=f"supported on an M4 with macOS 27.0.1, k=40 and 32000 wide included ({DISPATCH}, section 3.2)",
        leaves=(
            "on the CPU with its cast on an M4 Max with 200 thousand entries (videlalvaro/ane-book journal 048) and on"
            " an M3 Pro (roboflow/rf-detr #1495); a direct path on an M5 refuses k=3 and k=4 (sbryngelson/ane-guide)"
        ),
    ),
    ops=("topk",),
    why="""
        Measurements through Core ML contradict each other (M4 on one side, M4 Max and M3 Pro on the other). Where the
        rest is on the engine it cost 0.60 to 1.75 ms more in Core AI.
    """,
    fix="Hand the scores out and choose on the host.",
    source=(
        f"{DISPATCH} (section 3.2); videlalvaro/ane-book journal 048; roboflow/rf-detr #1495; apple/coreai-torch #66; "
        "john-rocky/coreai-model-zoo"
    ),
    find=_topk,
    fires="""
        x: fp16[1, 32000]
        y: (fp16[1, 40], int32[1, 40]) = topk(x=x, k=40, axis=-1)
        return y
    """,
    silent="""
        x: fp16[1, 32000]
        y: fp16[1, 1] = reduce_max(x=x, axes=[-1], keep_dims=True)
        return y
    """,
)

SLOW_TOPK = PlacementRule(
    code="ANE-OP-020b",
    name="topk-takes-milliseconds",
    summary="topk that the plan is likely to put on the engine, where it is slow",
    severity=Severity.PERFORMANCE,
    evidence="B",
    confidence="M",
    scope=Scope(families=frozenset({"H16"})),
    why="""
        Core ML takes it for an op that only moves bytes, and is off by a factor of 200: between four convolutions of
        256 channels (64x64) before and behind, k=4 along the width added 6.0 ms and k=256 along the channels 10.1 ms on
        an M4 with macOS 27.0.1, where 0.03 and 0.06 ms were estimated. Both graphs were placed on the engine as a
        whole, and slower there than on the CPU alone (8.0 against 6.2 ms, 12.6 against 11.1). An M6 was not measured.
    """,
    fix="Hand the scores out and choose on the host.",
    source="751K data/03_compile/opdispatch/topk_timing.txt, notes/coreml_dispatch.md section 3.5 (commit 6d4c3cf)",
    find=_slow_topk,
    fires="""
        x: fp16[1, 256, 64, 64]
        for _ in range(4):
            x: fp16[1, 256, 64, 64] = conv(x=x, weight=fp16[256, 256, 3, 3], pad_type="same")
        y: (fp16[1, 256, 64, 4], int32[1, 256, 64, 4]) = topk(x=x, k=4, axis=-1)
        y: fp16[1, 256, 64, 4] = conv(x=y, weight=fp16[256, 256, 3, 3], pad_type="same")
        return y
    """,
    silent="""
        x: fp16[1, 256, 64, 64]
        for _ in range(4):
            x: fp16[1, 256, 64, 64] = conv(x=x, weight=fp16[256, 256, 3, 3], pad_type="same")
        y: fp16[1, 256, 64, 1] = reduce_max(x=x, axes=[-1], keep_dims=True)
        y: fp16[1, 256, 64, 1] = conv(x=y, weight=fp16[256, 256, 3, 3], pad_type="same")
        return y
    """,
)

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

NO_CODE = OpRule(
    code="ANE-OP-027",
    name="op-without-engine-code",
    summary="classify, a custom layer, or a function that is nothing but identity",
    severity=Severity.INFO,
    effect=Effect.DOUBT,
    evidence="CF",
    confidence="M",
    ops=("classify", "custom_layer", "identity"),
    why="""
        A custom layer is code of the app's; classify looks labels up, which are text. ANEForge's sweep of an M5 found
        nothing to run where identity is the only op.
    """,
    fix="Leave a label lookup at the very end, or hand the scores out; identity alone needs no model.",
    source=f"hollance/neural-engine unsupported-layers.md; {SWEEP}",
    find=_no_engine_code,
    fires="""
        x: fp16[1, 64]
        y: fp16[1, 64] = identity(x=x)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        z: fp16[1, 64] = relu(x=x)
        y: fp16[1, 64] = identity(x=z)
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

CONTESTED_OPS = (SINE, SUPPRESSION, TOPK, SLOW_TOPK, PICKED, UPDATE, SAMPLED, NO_CODE, INTERLEAVED)
