"""Patterns of whole graphs (ANE-GR), with the form of a package (ANE-GR-9xx) of package_form."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from mctc.linter.coreml.forms import CONVOLUTIONS, PRODUCTS, counted, is_cast, leaves
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
from mctc.linter.coreml.rules.element_types import in_fp32
from mctc.linter.coreml.rules.package_form import FORM
from mctc.linter.coreml.segment import CHARGES, Backend
from mctc.linter.coreml.support import UNARY
from mctc.linter.coreml.target import Target
from mctc.package import Constant

HEAVY = frozenset((*PRODUCTS, "scaled_dot_product_attention"))
SWITCHES = 4
"""Changes of backend from which a path is said to bounce: two islands on the engine with work on both sides."""
LONG_CHAIN = 30
WORTH = 10.0
"""Microseconds below which nobody misses a segment."""
TIE = 1.0
"""Microseconds between backends that are as good as none."""


def _short_segments(placement: Placement, _: Target) -> Iterator[Hit]:
    """Runs of eligible ops left on the CPU beside ops that the engine doesn't take (all of a function: ANE-SZ-005)."""
    ops, costs, last = placement.function.ops, placement.costs, len(placement.path) - 1
    kinds = [
        (backend, eligible is not Eligible.NO)
        for backend, eligible in zip(placement.path, placement.eligible, strict=True)
    ]
    for kind, group in groupby(range(len(ops)), key=kinds.__getitem__):
        run = list(group)
        first, end = run[0], run[-1]
        beside = [kinds[place][0] for place in (first - 1, end + 1) if 0 <= place <= last]
        if kind != (Backend.CPU, True) or Backend.ANE in beside or not beside:
            continue
        saving = sum(costs[place].cpu - costs[place].ane for place in run)
        if saving < WORTH or not any(ops[place].type in HEAVY for place in run):
            continue
        where, charge = _charge(first == 0, end == last)
        message = f"{counted(len(run), 'op')} that the engine takes on the CPU: {saving:.0f} µs would be saved"
        yield Hit(f"{message}, a segment {where} costs {charge:.0f}", ops[first])


def _charge(head: bool, tail: bool) -> tuple[str, float]:
    """What a segment beside CPU ops costs in all."""
    if head:
        return "at the start", CHARGES.launch + CHARGES.switch
    if tail:
        return "at the end", CHARGES.switch + CHARGES.launch + CHARGES.output
    return "in the middle", 2 * CHARGES.switch + CHARGES.launch


def _bounces(placement: Placement, _: Target) -> Iterator[Hit]:
    if placement.switches < SWITCHES:
        return
    entered = sum(segment.backend is Backend.ANE for segment in placement.segments)
    ends = placement.segments[-1].backend is Backend.ANE
    charge = CHARGES.switch * placement.switches + CHARGES.launch * entered + CHARGES.output * ends
    changes, share = f"{placement.switches} changes of backend", f"{placement.time / 1000:.2f} ms"
    yield Hit(f"{changes} and {entered} launches: {charge / 1000:.2f} ms of an estimated {share}")


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
    PlacementRule(
        code="ANE-GR-001",
        name="segment-too-short",
        summary="ops that the engine takes stay on the CPU, they don't pay for the segment",
        severity=Severity.WARNING,
        evidence="B",
        confidence="H",
        why="""
            A segment on the engine pays a launch and what parts it from the CPU: 0.375 ms between CPU ops and at the
            end, 0.25 ms at the start (M4, macOS 27.0.1; other chips aren't known), and must save it. Runs without
            a product, or that save less than 10 us, are passed over; a function all too small is ANE-SZ-005.
        """,
        fix="Move the CPU ops around it to an edge of the program, or into the app.",
        source="751K coreml_dispatch.md section 2.3",
        find=_short_segments,
        fires="""
            x: fp32[1, 64, 32, 32]
            a: fp32[1, 64, 32, 32] = sin(x=x)
            b: fp16[1, 64, 32, 32] = cast(x=a, dtype="fp16")
            c: fp16[1, 64, 32, 32] = conv(x=b, weight=fp16[64, 64, 3, 3], pad_type="same")
            d: fp32[1, 64, 32, 32] = cast(x=c, dtype="fp32")
            y: fp32[1, 64, 32, 32] = sin(x=d)
            return y
        """,
        silent="""
            x: fp32[1, 64, 32, 32]
            a: fp32[1, 64, 32, 32] = sin(x=x)
            b: fp16[1, 64, 32, 32] = cast(x=a, dtype="fp16")
            for _ in range(4):
                b: fp16[1, 64, 32, 32] = conv(x=b, weight=fp16[64, 64, 3, 3], pad_type="same")
            d: fp32[1, 64, 32, 32] = cast(x=b, dtype="fp32")
            y: fp32[1, 64, 32, 32] = sin(x=d)
            return y
        """,
    ),
    PlacementRule(
        code="ANE-GR-002",
        name="bouncing",
        summary="the predicted path changes between the engine and the CPU again and again",
        severity=Severity.WARNING,
        evidence="DB",
        confidence="M",
        why="""
            The compiler has a message for networks that bounce too often; where too often begins isn't known, four
            changes are counted here. A change costs 0.125 ms and a launch the same in its estimates (M4); about 0.72 ms
            were measured for every boundary of a region (Core AI, M4).
        """,
        fix="Bring the CPU ops together, at an edge of the program.",
        source="751K coreml_dispatch.md sections 2.1 and 2.3; john-rocky/coreai-model-zoo",
        find=_bounces,
        fires="""
            x: fp16[1, 256, 64, 64]
            for _ in range(3):
                a: fp16[1, 256, 64, 64] = conv(x=x, weight=fp16[256, 256, 3, 3], pad_type="same")
                b: fp32[1, 256, 64, 64] = cast(x=a, dtype="fp32")
                c: fp32[1, 256, 64, 64] = sin(x=b)
                x: fp16[1, 256, 64, 64] = cast(x=c, dtype="fp16")
            return x
        """,
        silent="""
            x: fp16[1, 256, 64, 64]
            for _ in range(2):
                a: fp16[1, 256, 64, 64] = conv(x=x, weight=fp16[256, 256, 3, 3], pad_type="same")
                b: fp32[1, 256, 64, 64] = cast(x=a, dtype="fp32")
                c: fp32[1, 256, 64, 64] = sin(x=b)
                x: fp16[1, 256, 64, 64] = cast(x=c, dtype="fp16")
            return x
        """,
    ),
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
