"""Patterns of whole graphs (ANE-GR), with the form of a package (ANE-GR-9xx) of package_form."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.forms import CONVOLUTIONS, counted, is_cast, leaves
from mctc.linter.coreml.graph import FunctionGraph, Op, read_constant
from mctc.linter.coreml.placement import Eligible, Placement
from mctc.linter.coreml.rule import (
    Effect,
    FunctionRule,
    Hit,
    OpRule,
    PlacementRule,
    RuleFamily,
    Severity,
    listed,
)
from mctc.linter.coreml.rules.compile_cost import COMPILE_COST
from mctc.linter.coreml.rules.dual_engine import DUAL_ENGINE
from mctc.linter.coreml.rules.element_types_fp32 import in_fp32
from mctc.linter.coreml.rules.graph_segments import HEAVY, SEGMENTS
from mctc.linter.coreml.rules.package_form import FORM
from mctc.linter.coreml.segment import Backend
from mctc.linter.coreml.support import UNARY
from mctc.linter.coreml.target import Target
from mctc.package import Constant

LONG_CHAIN = 30
TIE = 1.0
"""Microseconds between backends that are as good as none."""


def _oversize_head(function: FunctionGraph, target: Target) -> Iterator[Hit]:
    """Ops over the limits of the engine, all of them ahead of the first product that keeps to the limits."""
    limit = target.family.extent
    over = [op for op in function.ops if _longest(op) > limit]
    fitting = [op for op in function.ops if op.type in HEAVY and _longest(op) <= limit]
    if not over or not fitting or over[0].position > 0 or over[-1].position > fitting[0].position:
        return
    if 2 * len(over) > len(function.ops):
        return
    kinds = listed(dict.fromkeys(op.type for op in over))
    most = max(map(_longest, over))
    yield Hit(
        f"{counted(len(over), 'op')} ({kinds}) on up to {most} positions, {target.family.name} takes {limit}", over[0]
    )


def _longest(op: Op) -> int:
    """The largest width of an op's tensors."""
    extents = (tensor.shape[-1] for _, tensor in op.at_work if tensor.shape)
    return max((extent for extent in extents if extent is not None), default=0)


def _intended_elsewhere(op: Op, _: Target) -> str | None:
    constant = op.operation.attributes.get("IntendedBackend")
    if constant is None:
        return None
    named = _texts(constant)
    return f"marked for {listed(named)}, not for the engine" if named and "ane" not in named else None


def _cheap_end(placement: Placement, _: Target) -> Iterator[Hit]:
    ops = placement.function.ops
    end = len(ops) - 1
    while end > 0 and ops[end].type == "cast" and leaves(ops[end]):
        end -= 1
    if end < 1 or ops[end].type not in UNARY or placement.path[end - 1] is not Backend.ANE:
        return
    cost = placement.costs[end]
    depth = sum(op.type in CONVOLUTIONS for op in ops)
    if depth >= LONG_CHAIN and abs(cost.cpu - cost.ane) <= TIE and placement.eligible[end] is not Eligible.NO:
        yield Hit(
            f"{depth} convolutions end on {ops[end].type}: {cost.ane:.1f} µs on the engine, {cost.cpu:.1f} on the CPU",
            ops[end],
        )


def _fp32_ahead_of_compressed(op: Op, _: Target) -> str | None:
    packed, maker = op.compression("weight"), op.producer("x")
    if packed is None or maker is None:
        return None
    if is_cast(maker, "fp32", "fp16"):
        maker = maker.producer("x")
    if maker is None or not in_fp32(maker):
        return None
    return f"{maker.type} in fp32 just ahead of a {op.type} with a weight from {packed.type}"


def _texts(constant: Constant) -> list[str]:
    found = read_constant(constant, ())
    if isinstance(found, str):
        return [found]
    tolist = getattr(found, "tolist", None)
    items = tolist() if tolist is not None else found
    return [item for item in items if isinstance(item, str)] if isinstance(items, (list, tuple)) else []


GRAPH = (
    *SEGMENTS,
    FunctionRule(
        code="ANE-GR-003",
        name="oversize-preprocessing",
        summary="the program begins on extents over the limit, and keeps to it afterwards",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="E",
        confidence="M",
        why="""
            With an op on a waveform of 240000 samples in front of an audio encoder, loading failed on an iPhone 13,
            where the plan had tried the engine; a Mac showed no error. The file can't tell whether that happens on
            other chips.
        """,
        fix="Put the preprocessing into a package of its own, or into the app.",
        source="FluidInference/mobius mel_encoder_ane_behavior.md:19-28",
        find=_oversize_head,
        fires="""
            x: fp16[1, 240000]
            a: fp16[1, 1, 240000] = expand_dims(x=x, axes=[1])
            b: fp16[1, 80, 1500] = conv(x=a, weight=fp16[80, 1, 160], strides=[160], pad_type="valid")
            for _ in range(4):
                b: fp16[1, 80, 1500] = conv(x=b, weight=fp16[80, 80, 3], strides=[1], pad_type="same")
            return b
        """,
        silent="""
            x: fp16[1, 16384]
            a: fp16[1, 1, 16384] = expand_dims(x=x, axes=[1])
            b: fp16[1, 80, 102] = conv(x=a, weight=fp16[80, 1, 160], strides=[160], pad_type="valid")
            for _ in range(4):
                b: fp16[1, 80, 102] = conv(x=b, weight=fp16[80, 80, 3], strides=[1], pad_type="same")
            return b
        """,
    ),
    OpRule(
        code="ANE-GR-005",
        name="intended-elsewhere",
        summary="an op is marked for other backends than the engine",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="A",
        confidence="H",
        why="""
            coremltools writes the attribute IntendedBackend (ane, mps_graph, bnns, classic_cpu, e5_minimal_cpu) from a
            compute plan, so that ops go to the same place although the model has changed since.
        """,
        fix="Drop the attribute, so that Core ML chooses anew.",
        source="coremltools compute_plan_utils.py:325-480 (set_intended_backends, apply_compute_plan)",
        find=_intended_elsewhere,
        fires="""
            x: fp16[1, 64, 1, 64]
            y: fp16[1, 64, 1, 64] = relu(x=x, attributes={"IntendedBackend": ["bnns", "classic_cpu"]})
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 64]
            y: fp16[1, 64, 1, 64] = relu(x=x, attributes={"IntendedBackend": ["ane", "bnns"]})
            return y
        """,
    ),
    PlacementRule(
        code="ANE-GR-009",
        name="cheap-last-op",
        summary="a long chain of convolutions ends on an activation",
        severity=Severity.INFO,
        evidence="B",
        confidence="M",
        why="""
            An activation is estimated the same on both sides, and to end on either costs the same, so the last one
            lands on the CPU at some depths (32 and 34 of 30 to 36 layers), for about 100 us a call (M6; the tie was
            found on an M4).
        """,
        fix="Fold the activation into what follows in the app, or end on a heavier op.",
        source="751K defects.md B7; 751K coreml_dispatch.md section 2.3",
        find=_cheap_end,
        fires="""
            x: fp16[1, 64, 32, 32]
            for _ in range(30):
                x: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 3, 3], pad_type="same")
            y: fp16[1, 64, 32, 32] = relu(x=x)
            return y
        """,
        silent="""
            x: fp16[1, 64, 32, 32]
            for _ in range(30):
                y: fp16[1, 64, 32, 32] = relu(x=x)
                x: fp16[1, 64, 32, 32] = conv(x=y, weight=fp16[64, 64, 3, 3], pad_type="same")
            return x
        """,
    ),
    OpRule(
        code="ANE-GR-010",
        name="fp32-before-compressed",
        summary="an fp32 op just ahead of a convolution with a compressed weight",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="B",
        confidence="M",
        ops=CONVOLUTIONS,
        why="""
            In Core AI such a division makes the compilation for the engine fail, and the whole graph goes to the GPU
            with correct results (M5 Pro); in fp16 it is fine. It hasn't been seen in Core ML.
        """,
        fix="Compute it in fp16, or after the convolution.",
        source="cadamcat/llms-on-apple-neural-engine findings/coreai-qdq-multiply-scale",
        find=_fp32_ahead_of_compressed,
        fires="""
            x: fp32[1, 64, 1, 16]
            a: fp32[1, 64, 1, 16] = real_div(x=x, y=fp32(8.0))
            b: fp16[1, 64, 1, 16] = cast(x=a, dtype="fp16")
            w: fp16[64, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[64, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
            y: fp16[1, 64, 1, 16] = conv(x=b, weight=w)
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 16]
            a: fp16[1, 64, 1, 16] = real_div(x=x, y=8.0)
            w: fp16[64, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[64, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
            y: fp16[1, 64, 1, 16] = conv(x=a, weight=w)
            return y
        """,
    ),
)

RULES = RuleFamily(
    name="whole-graph",
    title="Patterns of whole graphs",
    rules=(*GRAPH, *DUAL_ENGINE, *COMPILE_COST, *FORM),
    not_decidable=(("ANE-GR-004", "how many programs an app runs for a token or a frame is not in any one package"),),
)
