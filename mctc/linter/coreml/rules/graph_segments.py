"""Short segments, and switches between engine and CPU."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from mctc.linter.coreml.forms import PRODUCTS, counted
from mctc.linter.coreml.placement import Eligible, Placement
from mctc.linter.coreml.rule import (
    Hit,
    PlacementRule,
    Severity,
)
from mctc.linter.coreml.segment import CHARGES, Backend
from mctc.linter.coreml.target import Target

HEAVY = frozenset((*PRODUCTS, "scaled_dot_product_attention"))
SWITCHES = 4
"""Changes of backend from which a path is said to bounce: two islands on the engine with work on both sides."""
WORTH = 10.0
"""Microseconds below which nobody misses a segment."""


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


SEGMENTS = (
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
            a product, or that save less than 10 µs, are passed over; a function all too small is ANE-SZ-005.
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
)
