"""What computes in fp32, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mctc.linter.coreml.forms import counted, is_cast, main_operand
from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.interface import features
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, Severity, listed
from mctc.linter.coreml.support import BINARY
from mctc.linter.coreml.target import Target
from mctc.linter.coreml.trace import connected

WIDE_FLOATS = ("fp32", "fp64")
SCALING = ("mul", "add", "sub", "real_div")
SCALES = 4
"""Ops of a scale and a bias, with room."""


def in_fp32(op: Op) -> bool:
    """Whether an op, other than a cast, computes in single or double precision."""
    if op.type == "cast":
        return False
    main = main_operand(op)
    dtypes = (op.result.dtype if op.result is not None else None, op.dtype(main) if main is not None else None)
    return any(dtype in WIDE_FLOATS for dtype in dtypes)


def _fp32(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    """One finding for the ops that are connected: a program converted to fp32 has one cause."""
    for group in connected([op for op in function.ops if in_fp32(op) and not _scales_image(op)]):
        kinds = listed(kind for kind, _ in Counter(op.type for op in group).most_common())
        said = f"{group[0].type} computes" if len(group) == 1 else f"{len(group)} connected ops ({kinds}) compute"
        yield Hit(f"{said} in fp32", group[0], also=tuple(group[1:]))


def _image_scale(op: Op, _: Target) -> str | None:
    return f"{op.type} scales an image in fp32, in front of the cast to fp16" if _scales_image(op) else None


def _scales_image(op: Op) -> bool:
    """Whether an op belongs to the scale and bias that a converter puts between an image and the cast to fp16."""
    if op.type not in SCALING or not in_fp32(op) or not _is_of_image(op, SCALES):
        return False
    return _ends_in_cast(op, SCALES)


def _is_of_image(op: Op, steps: int) -> bool:
    """Whether nothing goes into an op but constants and an image, scaled already or not."""
    images = {feature.name for feature in features(op.function) if feature.kind == "image"}
    for operand in op.operands:
        if op.is_constant(operand):
            continue
        maker = op.producer(operand)
        if maker is None and getattr(op.bindings(operand)[0], "name", None) not in images:
            return False
        if maker is not None and not (steps and maker.type in SCALING and _is_of_image(maker, steps - 1)):
            return False
    return True


def _ends_in_cast(op: Op, steps: int) -> bool:
    users = op.users()
    return bool(users) and all(
        is_cast(user, "fp32", "fp16") or (steps and user.type in SCALING and _ends_in_cast(user, steps - 1))
        for user in users
    )


def _islands(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    """Connected ops in fp32 that a cast from computed fp16 leads into, and a cast to fp16 out of."""
    for island in connected([op for op in function.ops if in_fp32(op)]):
        makers = [maker for op in island for maker in op.producers()]
        users = [user for op in island for user in op.users()]
        entered = any(is_cast(maker, "fp16", "fp32") and maker.producer("x") for maker in makers)
        if entered and any(is_cast(user, "fp32", "fp16") and user.users() for user in users):
            kinds = listed(dict.fromkeys(op.type for op in island))
            message = f"an island of fp32 between fp16 ops: {counted(len(island), 'op')} ({kinds})"
            yield Hit(message, island[0], also=tuple(island[1:]))


def _held_by_constant(op: Op, _: Target) -> str | None:
    if not in_fp32(op) or not op.users() or not all(is_cast(user, "fp32", "fp16") for user in op.users()):
        return None
    constants = [name for name in op.operands if op.dtype(name) == "fp32" and op.is_constant(name)]
    others = [name for name in op.operands if not op.is_constant(name)]
    if constants and others and all(is_cast(op.producer(name), "fp16", "fp32") for name in others):
        return f"an fp32 constant keeps {op.type} in fp32, between a cast from fp16 and one back"
    return None


FP32 = (
    FunctionRule(
        code="ANE-DT-001",
        name="fp32-op",
        summary="ops compute in fp32",
        severity=Severity.ERROR,
        effect=Effect.OFF,
        evidence="AB",
        confidence="H",
        why="""
                The engine computes in fp16, int8 and int16; fp32 goes to the GPU or the CPU, on all chips (Apple).
                Inputs and outputs of the program in fp32 are no harm: a cast at the edge, and the rest goes to the
                engine.
            """,
        fix="""
                Convert with compute_precision=FLOAT16, and leave casts at the edges only.
            """,
        source="Apple neural_engine_rules.md:8; coremltools docs-guides typed-execution.md:48; "
        "apple/ml-stable-diffusion torch2coreml.py:573; 751K coreml_dispatch.md section 3.2",
        find=_fp32,
        fires="""
                x: fp32[1, 64, 8, 8]
                y: fp32[1, 64, 8, 8] = relu(x=x)
                return y
            """,
        silent="""
                x: fp32[1, 64, 8, 8]
                a: fp16[1, 64, 8, 8] = cast(x=x, dtype="fp16")
                b: fp16[1, 64, 8, 8] = relu(x=a)
                y: fp32[1, 64, 8, 8] = cast(x=b, dtype="fp32")
                return y
            """,
    ),
    OpRule(
        code="ANE-DT-010",
        name="image-scaled-in-fp32",
        summary="the scale or bias of an image input is computed in fp32, before the cast to fp16",
        severity=Severity.INFO,
        effect=Effect.OFF,
        evidence="AE",
        confidence="M",
        ops=SCALING,
        why="""
                coremltools writes the scale and bias of an ImageType in the type of the input, which is fp32 for
                images in colour, and the cast to fp16 behind them. No converter setting changes that; one user found
                the op slow. The model behind the cast loses nothing.
            """,
        fix="Leave scale and bias out of ImageType and put them into the model: into the first layer's weights.",
        source="coremltools converters/mil/backend/mil/passes/insert_image_preprocessing_op.py; coremltools #2213",
        find=_image_scale,
        fires="""
                x: pixels[fp32[1, 3, 32, 32]]
                s: fp32[1, 3, 32, 32] = mul(x=x, y=fp32(0.0039))
                b: fp32[1, 3, 32, 32] = add(x=s, y=fp32[1, 3, 1, 1])
                y: fp16[1, 3, 32, 32] = cast(x=b, dtype="fp16")
                return y
            """,
        silent="""
                x: pixels[fp32[1, 3, 32, 32]]
                y: fp16[1, 3, 32, 32] = cast(x=x, dtype="fp16")
                return y
            """,
    ),
    FunctionRule(
        code="ANE-DT-002",
        name="fp32-island",
        summary="a group of fp32 ops in the middle of fp16 ops",
        severity=Severity.ERROR,
        effect=Effect.OFF,
        covers=("ANE-DT-001",),
        evidence="B",
        confidence="M",
        why="""
                Two ops kept in fp32, a softmax and the input of a pooling, cut a graph into 13 regions of the engine;
                without them it was one, and 13.19 ms became 4.60. A text encoder all in fp32 had no region (Core AI,
                M4).
            """,
        fix="""
                Keep them in fp16: a softmax holds up there when the maximum is subtracted first. Where a spec keeps a
                part in fp32 (`quantize { **.turns.**: f32 }`), this is a warning: shrink the part, or take the cost.
            """,
        source="john-rocky/coreai-model-zoo ane-region-count-and-fp32-ops.md; "
        "Apple neural_engine_rules.md (Float32 intermediates)",
        find=_islands,
        fires="""
                x: fp16[1, 64, 1, 64]
                a: fp16[1, 64, 1, 64] = relu(x=x)
                b: fp32[1, 64, 1, 64] = cast(x=a, dtype="fp32")
                c: fp32[1, 64, 1, 64] = softmax(x=b, axis=-1)
                d: fp16[1, 64, 1, 64] = cast(x=c, dtype="fp16")
                y: fp16[1, 64, 1, 64] = relu(x=d)
                return y
            """,
        silent="""
                x: fp16[1, 64, 1, 64]
                a: fp16[1, 64, 1, 64] = relu(x=x)
                b: fp32[1, 64, 1, 64] = cast(x=a, dtype="fp32")
                y: fp32[1, 64, 1, 64] = softmax(x=b, axis=-1)
                return y
            """,
    ),
    OpRule(
        code="ANE-DT-003",
        name="fp32-constant",
        summary="an fp32 constant keeps an op out of fp16",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="A",
        confidence="M",
        ops=(*BINARY, "mod"),
        why="""
                A float written in Python becomes an fp32 buffer, and the op that meets it computes in fp32, which the
                engine doesn't (Apple, of Core AI). The fp16 pass of coremltools rewrites it as a rule; here it did not.
            """,
        fix="Give the constant the type fp16.",
        source="Apple neural_engine_rules.md (Float32 intermediates) and common_issues.md (General rules)",
        find=_held_by_constant,
        fires="""
                x: fp16[1, 64, 1, 64]
                a: fp32[1, 64, 1, 64] = cast(x=x, dtype="fp32")
                b: fp32[1, 64, 1, 64] = mul(x=a, y=fp32(0.125))
                y: fp16[1, 64, 1, 64] = cast(x=b, dtype="fp16")
                return y
            """,
        silent="""
                x: fp16[1, 64, 1, 64]
                y: fp16[1, 64, 1, 64] = mul(x=x, y=fp16(0.125))
                return y
            """,
    ),
)
