"""Layout in memory (ANE-LY): part of the family `layout`."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.forms import PRODUCTS
from mctc.linter.coreml.graph import FunctionGraph, Op, as_tensor, size_of, tensor_bytes
from mctc.linter.coreml.memory import ALIGNMENT
from mctc.linter.coreml.rule import FunctionRule, Hit, OpRule, Severity, Sides
from mctc.linter.coreml.rules.layout_last_axis import LAST_AXIS, PAGE
from mctc.linter.coreml.target import Scope, Target
from mctc.linter.coreml.traffic import moved_bytes
from mctc.package import NamedType, TensorType

FLOATS = ("fp16", "fp32")
BYTES = {"fp16": 2, "fp32": 2, "int8": 1, "uint8": 1}
"""Bytes of an element at the engine: fp32 becomes fp16 at the edge. Other types never get there."""
FP16_BYTES = 2
ROW = ALIGNMENT // FP16_BYTES
"""Elements of fp16 in 64 bytes: 32."""
MATMULS = ("matmul", "linear", "einsum", "scaled_dot_product_attention")
MIB = 1 << 20
TOTAL = 32 * MIB
CORES = 16
NOTCH = 16 << 10


def _interface(function: FunctionGraph) -> Iterator[tuple[str, NamedType, TensorType]]:
    """Inputs, outputs and states that go to the engine and that an app passes as arrays, so no images."""
    description = function.package.package.descriptions.get(function.name)
    features = (*description.inputs, *description.outputs) if description is not None else ()
    images = {feature.name for feature in features if feature.kind == "image"}
    items = (("input", function.inputs), ("output", function.outputs), ("state", function.states))
    for kind, group in items:
        for item in group:
            tensor = as_tensor(item.type)
            if tensor is not None and tensor.shape and tensor.dtype in BYTES and item.name not in images:
                yield kind, item, tensor


def _rows(tensor: TensorType) -> int:
    """How many rows the last axis makes."""
    return size_of(max(1, extent) if extent is not None else 1 for extent in (tensor.shape or ())[:-1])


def _last_axis_of_one(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for kind, item, tensor in _interface(function):
        padded = _rows(tensor) * ALIGNMENT
        if tensor.shape is not None and tensor.shape[-1] == 1 and padded >= PAGE:
            times = ALIGNMENT // BYTES[tensor.dtype]
            yield Hit(f"{kind} {item.name} ({tensor}) ends on an axis of 1: {padded} bytes, {times} times its size")


def _unaligned_last_axis(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for kind, item, tensor in _interface(function):
        last = tensor.shape[-1] if tensor.shape is not None else None
        row = ALIGNMENT // BYTES[tensor.dtype]
        if last is None or last <= 1 or last % row == 0 or _rows(tensor) == 1:
            continue
        wide = -(-last // row) * row
        if _rows(tensor) * wide * BYTES[tensor.dtype] >= PAGE:
            yield Hit(f"{kind} {item.name} ({tensor}): rows of {last} are no multiple of {row}, padded to {wide}")


def _narrow_input(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for item in function.inputs:
        tensor = as_tensor(item.type)
        last = tensor.shape[-1] if tensor is not None and tensor.shape else None
        if tensor is None or tensor.dtype not in FLOATS or last is None or not 0 < last < ROW:
            continue
        users = function.uses.get(item.name, [])
        users = [user for each in users for user in (each.users() if each.type == "cast" else [each])]
        for op in dict.fromkeys(user for user in users if user.type in MATMULS):
            yield Hit(f"an input with rows of {last} goes into {op.type}: narrower than {ROW}", op)


def _odd_channels(op: Op, _: Target) -> str | None:
    shape = op.result.shape if op.result is not None else None
    count = shape[1] if shape is not None and len(shape) > 1 else None
    return f"{count} channels are no multiple of {ROW}" if count and count % ROW else None


def _working_set(op: Op, target: Target) -> str | None:
    limit = target.family.working_set
    most = max((tensor_bytes(tensor) for name, tensor in op.at_work if name), default=0)
    if most > limit:
        return f"{op.type} takes an operand of {most / MIB:.2f} MiB, more than {limit / MIB:.2f}"
    activations, weights, _ = moved_bytes(op)
    total = activations + weights
    return f"{op.type} moves {total / MIB:.2f} MiB in all, more than {TOTAL // MIB}" if total > TOTAL else None


def _notch(op: Op, _: Target) -> str | None:
    shape = op.shape("weight")
    if not shape or not op.is_constant("weight") or op.compression("weight") is not None:
        return None
    known = [extent for extent in shape if extent is not None and extent > 0]
    if len(known) < max(2, len(shape)) or op.dtype("weight") != "fp16":
        return None
    share = -(-known[0] // CORES) * size_of(known[1:]) * FP16_BYTES
    off = (share + MIB // 2) % MIB - MIB // 2
    if share < MIB - NOTCH or abs(off) > NOTCH:
        return None
    return f"the weight gives each of {CORES} cores {share / MIB:.2f} MiB: within 16 KiB of a whole number of MiB"


MEMORY = (
    FunctionRule(
        code="ANE-LY-001",
        name="last-axis-of-one",
        summary="an input, output or state ends on an axis of one element",
        severity=Severity.PERFORMANCE,
        evidence="A",
        confidence="H",
        why="""
            The last axis is padded to 64 bytes: 32 times the memory in fp16, 64 times in int8 (Apple). Nothing is said
            of tensors that take less than 4 KiB when padded, nor of images.
        """,
        fix="Put the long axis last, as in (B, C, 1, S).",
        source="Apple neural_engine_rules.md (Tensor memory alignment); "
        "machinelearning.apple.com/research/neural-engine-transformers",
        find=_last_axis_of_one,
        fires="""
            x: fp16[1, 64, 128, 1]
            y: fp16[1, 64, 128] = squeeze(x=x, axes=[3])
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 128]
            y: fp16[1, 64, 128] = squeeze(x=x, axes=[2])
            return y
        """,
    ),
    FunctionRule(
        code="ANE-LY-002",
        name="unaligned-last-axis",
        summary="rows of an input, output or state are no multiple of 64 bytes",
        severity=Severity.PERFORMANCE,
        evidence="A",
        confidence="H",
        why="""
            Inputs and outputs have a contiguous last axis aligned to 64 bytes, 32 elements of fp16; a power of two is
            better still (Apple). Between ops less may do. A tensor of one row, or of less than 4 KiB, isn't counted.
        """,
        fix="Pad the last axis to a multiple of 32.",
        source="Apple neural_engine_rules.md (Tensor memory alignment)",
        find=_unaligned_last_axis,
        fires="""
            x: fp16[1, 64, 1, 100]
            y: fp16[1, 64, 1, 100] = relu(x=x)
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 96]
            y: fp16[1, 64, 1, 96] = relu(x=x)
            return y
        """,
    ),
    FunctionRule(
        code="ANE-LY-003",
        name="narrow-input",
        summary="an input with rows of fewer than 32 elements goes into a matmul",
        severity=Severity.WARNING,
        evidence="CE",
        confidence="L",
        sides=Sides(
            stays="ane-guide: the engine moves 16 bytes at a time, a width of 16 is enough",
            leaves="a field guide for the M3 Max asks for a width of 32; maderix/ANE #47: zeros come out where the "
            "inner extent of a matmul is no multiple of 32 (M1); both on the direct path",
        ),
        why="Refusals and zeros are reported of paths that skip Core ML, which may lay the input out anew.",
        fix="Pad the rows to 32, and compare the numbers on a device.",
        source="skyfallsin/apple-neural-engine-field-guide; maderix/ANE #47; ane-guide chapter 17",
        find=_narrow_input,
        fires="""
            x: fp16[1, 8, 64, 31]
            y: fp16[1, 8, 64, 64] = matmul(x=x, y=fp16[1, 8, 31, 64])
            return y
        """,
        silent="""
            x: fp16[1, 8, 64, 32]
            y: fp16[1, 8, 64, 64] = matmul(x=x, y=fp16[1, 8, 32, 64])
            return y
        """,
    ),
    *LAST_AXIS,
    OpRule(
        code="ANE-LY-007",
        name="padded-channels",
        summary="a convolution's channels are no multiple of 32",
        severity=Severity.INFO,
        evidence="CD",
        confidence="M",
        ops=("conv", "conv_transpose"),
        why="Channels that don't fill the interleave are padded (compiler tables); ironmill warns from 32 on.",
        fix="Choose multiples of 32 where the model is still being designed.",
        source="ironmill validate.rs:27; ane-guide chapter 17",
        find=_odd_channels,
        fires="""
            x: fp16[1, 64, 8, 8]
            y: fp16[1, 72, 8, 8] = conv(x=x, weight=fp16[72, 64, 1, 1])
            return y
        """,
        silent="""
            x: fp16[1, 3, 8, 8]
            y: fp16[1, 96, 8, 8] = conv(x=x, weight=fp16[96, 3, 1, 1])
            return y
        """,
    ),
    OpRule(
        code="ANE-LY-008",
        name="large-working-set",
        summary="a product's operands don't stay near the engine",
        severity=Severity.PERFORMANCE,
        evidence="CD",
        confidence="L",
        ops=(*PRODUCTS, "scaled_dot_product_attention"),
        why="""
            Past it data is streamed, without an error. The figures compete: 2 MiB an operand on M1 to M4 and 4.72 MB on
            an M5 (decompiled, measured), 32 MB in all (a 4096x4096 matmul lost 30 % on an M4), 4 MB (2020). None is
            from Core ML. Constants are left out of the first figure.
        """,
        fix="Work in tiles: a part of the image or of the frames for a convolution, one head at a time for a matmul.",
        source="maderix/ANE README; 751K hal_analysis.md; ane-guide chapter 21; geohot/tinygrad ane README",
        find=_working_set,
        fires="""
            x: fp16[1, 1, 1025, 1024]
            y: fp16[1, 1, 1025, 64] = matmul(x=x, y=fp16[1024, 64])
            return y
        """,
        silent="""
            x: fp16[1, 1, 1024, 1024]
            y: fp16[1, 1, 1024, 64] = matmul(x=x, y=fp16[1024, 64])
            return y
        """,
    ),
    OpRule(
        code="ANE-LY-009",
        name="weight-at-a-notch",
        summary="a weight whose share of a core is close to a whole number of MiB",
        severity=Severity.PERFORMANCE,
        evidence="E",
        confidence="M",
        scope=Scope(families=frozenset({"H16"})),
        ops=("conv", "linear"),
        why="""
            One author saw weights stream at 17 to 19 GB/s instead of 45 to 60 when ceil(Cout/16) * Cin * kh * kw * 2
            bytes lie within 16 KiB of a multiple of 1 MiB, as with 2048x4096 in fp16 (M4-class).
        """,
        fix="Split the input channels into two products and add them.",
        source="kasper0406/stablehlo-coreml #110; eiln.github.io/posts/ane-dma.html",
        find=_notch,
        fires="""
            x: fp16[1, 1, 4096]
            y: fp16[1, 1, 2048] = linear(x=x, weight=fp16[2048, 4096], bias=fp16[2048])
            return y
        """,
        silent="""
            x: fp16[1, 1, 4224]
            y: fp16[1, 1, 2048] = linear(x=x, weight=fp16[2048, 4224], bias=fp16[2048])
            return y
        """,
    ),
)
