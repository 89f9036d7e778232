"""Ops without a way to the Neural Engine (ANE-OP)."""

from __future__ import annotations

from mctc.lint.coreml.graph import Op
from mctc.lint.coreml.rule import Effect, OpRule, RuleFamily, Severity
from mctc.lint.coreml.support import KNOWN
from mctc.lint.coreml.target import Target


def _never(op: Op, _: Target) -> str:
    return f"{op.type} never runs on the Neural Engine"


def _unknown(op: Op, _: Target) -> str | None:
    return None if op.type in KNOWN else f"nothing is known of {op.type}: its placement is a guess"


RULES = RuleFamily(
    name="pathless-ops",
    title="Ops without a way to the engine",
    rules=(
        OpRule(
            code="ANE-OP-001",
            name="recurrent-op",
            summary="lstm, gru and rnn never run on the Neural Engine",
            severity=Severity.ERROR,
            effect=Effect.OFF,
            evidence="AB",
            confidence="H",
            ops=("lstm", "gru", "rnn"),
            why="""
                Apple's staff say so, and three measurements agree: CPU only on an M4 with macOS 27.0.1, absent from the
                supported set of another M4, refused in a sweep of an M5.
            """,
            fix="""
                Unroll the cell into 1x1 convolutions and gates (mctc does), or keep it in a model of its own.
            """,
            source="coremltools #1780, #337; 751K coreml_dispatch.md; ane-probe EXP-001; ANEForge sweep",
            find=_never,
            fires="""
                x: fp16[16, 1, 64]
                h: fp16[1, 32]
                y: (fp16[16, 1, 32], fp16[1, 32]) = gru(x=x, initial_h=h, weight_ih=fp16[96, 64])
                return y
            """,
            silent="""
                x: fp16[1, 64, 1, 16]
                y: fp16[1, 96, 1, 16] = conv(x=x, weight=fp16[96, 64, 1, 1])
                return y
            """,
        ),
        OpRule(
            code="ANE-OP-900",
            name="unknown-op",
            summary="an op that no source speaks of",
            severity=Severity.INFO,
            effect=Effect.DOUBT,
            evidence="M",
            confidence="H",
            why="Neither the published measurements nor Apple's documents say where this op runs.",
            fix="Look at it with MLComputePlan on a Mac, and tell us.",
            source="none",
            find=_unknown,
            fires="""
                x: fp16[1, 64, 1, 16]
                y: fp16[1, 64, 1, 16] = frobnicate(x=x)
                return y
            """,
            silent="""
                x: fp16[1, 64, 1, 16]
                y: fp16[1, 64, 1, 16] = relu(x=x)
                return y
            """,
        ),
    ),
)
