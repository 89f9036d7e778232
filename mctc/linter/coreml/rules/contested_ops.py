"""Ops that sources disagree about, that only some chips take, or that are better written another way (ANE-OP)."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.hardware.families import up_to
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.placement import Placement
from mctc.linter.coreml.rule import Effect, Hit, OpRule, PlacementRule, Severity, Sides
from mctc.linter.coreml.rules.contested_moves import INTERLEAVED, PICKED, SAMPLED, UPDATE
from mctc.linter.coreml.segment import Backend
from mctc.linter.coreml.sources import DISPATCH, GUIDE, PROBE, SWEEP
from mctc.linter.coreml.target import Scope, Target

BOXES = 2048
"""Input boxes of a non-maximum suppression, by a message of Apple's compiler."""


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


CONTESTED_OPS = (SINE, SUPPRESSION, TOPK, SLOW_TOPK, PICKED, UPDATE, SAMPLED, NO_CODE, INTERLEAVED)
