"""What the engine's compiler takes for a function (ANE-GR): docs/compile-cost.md; part of the family `whole-graph`."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.compile_cost import compile_cost, duration
from mctc.linter.coreml.placement import Placement
from mctc.linter.coreml.rule import Hit, PlacementRule, Severity
from mctc.linter.coreml.rules.dual_engine import M6
from mctc.linter.coreml.target import Target

SLOW_SECONDS = 10.0
MUCH_BYTES = 1e9


def _slow_to_load(placement: Placement, target: Target) -> Iterator[Hit]:
    cost = compile_cost(placement, target)
    if cost is not None and cost.fails is None and cost.load >= SLOW_SECONDS:
        yield Hit(f"the first load is predicted to take {duration(cost.load)}; {cost.most} take most of it")


def _writes_copies(placement: Placement, target: Target) -> Iterator[Hit]:
    cost = compile_cost(placement, target)
    if cost is not None and cost.copies >= MUCH_BYTES:
        yield Hit(f"{cost.copies / 1e9:.0f} GB of copies of its weights are predicted on disk while it compiles")


COMPILE_COST = (
    PlacementRule(
        code="ANE-GR-011",
        name="slow-first-load",
        summary="a function whose first load is predicted to take ten seconds or more",
        severity=Severity.PERFORMANCE,
        evidence="BM",
        confidence="M",
        why="""
            Before its first call Core ML compiles a program for the engine, in a service that runs on efficiency cores.
            What that takes follows from published compile times: 2.35 ms an op and 3 s a gigabyte of weights, direct;
            on an M6 chains of elementwise ops by the 3.65th power of their length, and copies of weights. The
            prediction is within a factor of three of every published time. The result is cached until the system is
            updated or cleans up.
        """,
        fix="Fewer ops, shorter chains of elementwise ops, or a load in the background at the first start.",
        source="751K compile_cost.md and whisper_compile.md; the model: docs/compile-cost.md",
        find=_slow_to_load,
        fires="""
            x: fp16[1, 512, 1, 64]
            for _ in range(1600):
                x: fp16[1, 512, 1, 64] = conv(x=x, weight=fp16[512, 512, 1, 1])
            return x
        """,
        silent="""
            x: fp16[1, 512, 1, 64]
            for _ in range(800):
                x: fp16[1, 512, 1, 64] = conv(x=x, weight=fp16[512, 512, 1, 1])
            return x
        """,
    ),
    PlacementRule(
        code="ANE-GR-012",
        name="compile-fills-disk",
        summary="a function of many products, for an M6, whose compilation writes copies of the weights",
        severity=Severity.WARNING,
        evidence="B",
        confidence="M",
        scope=M6,
        why="""
            Where heads are split into products of their own, the split over an M6's two engines merges convolutions and
            writes their weights anew each time: 60 bytes for a byte of weights, 78 GB for WhisperKit's large-v3-turbo
            encoder, 2.7 GB for one layer of it. Nobody checks the room that is left, a client that gives up does not
            end it, and a full disk makes the system drop all compiled programs. An M4 wrote 1.3 GB for the same file.
        """,
        fix="Keep heads in one product for this chip, or compute this function on the GPU.",
        source="751K whisper_compile.md; defects.md A3 and A4",
        find=_writes_copies,
        fires="""
            x: fp16[1, 1024, 1, 512]
            for _ in range(9):
                x: fp16[1, 1024, 1, 512] = conv(x=x, weight=fp16[1024, 1024, 1, 1])
            for _ in range(64):
                y: fp16[1, 1024, 512, 512] = matmul(x=x, y=x, transpose_x=True)
            return y
        """,
        silent="""
            x: fp16[1, 1024, 1, 512]
            for _ in range(9):
                x: fp16[1, 1024, 1, 512] = conv(x=x, weight=fp16[1024, 1024, 1, 1])
            for _ in range(63):
                y: fp16[1, 1024, 512, 512] = matmul(x=x, y=x, transpose_x=True)
            return y
        """,
    ),
)
