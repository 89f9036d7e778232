"""Ops without a way to the Neural Engine (ANE-OP): those that never run there.

runtime_ops.py holds those that fail for what is only known at run time, contested_ops.py those that sources disagree
about or that only some chips take.
"""

from __future__ import annotations

from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import OF_FORM, Effect, OpRule, RuleFamily, Severity
from mctc.linter.coreml.rules.contested_ops import CONTESTED_OPS
from mctc.linter.coreml.rules.pathless_arithmetic import ARGMAX, ARGSORT, CUMSUM, MOD, PROD, TRIGONOMETRY
from mctc.linter.coreml.rules.runtime_defects import RECURRENT_ON_GPU
from mctc.linter.coreml.rules.runtime_ops import RUNTIME_OPS, never
from mctc.linter.coreml.sources import FOUR
from mctc.linter.coreml.support import KNOWN
from mctc.linter.coreml.target import Target


def _unknown(op: Op, _: Target) -> str | None:
    return None if op.type in KNOWN else f"nothing is known of {op.type}: its placement is a guess"


RECURRENT = OpRule(
    code="ANE-OP-001",
    name="recurrent-op",
    summary="lstm, gru and rnn never run on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="AB",
    confidence="H",
    ops=("lstm", "gru", "rnn"),
    why="""
        Apple's staff say so, and three measurements agree: CPU only on an M4 with macOS 27.0.1, absent from the
        supported set of another M4, refused in a sweep of an M5.
    """,
    fix="Unroll the cell into 1x1 convolutions and gates (mctc does), or keep it in a model of its own.",
    source=f"apple/coremltools #1780, #337; {FOUR}",
    find=never,
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
)

BAND_PART = OpRule(
    code="ANE-OP-002",
    name="band-part",
    summary="band_part never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("band_part",),
    why="""
        CPU only on an M4 (macOS 27.0.1), absent from another M4's supported set, refused on an M5. On an M1 a band_part
        at the front took the whole rest of the model to the CPU with it.
    """,
    fix="Store the finished fp16 mask as a constant, or take it as an input.",
    source=f"{FOUR}; smpanaro/more-ane-transformers NOTES.md",
    find=never,
    fires="""
        x: fp16[1, 1, 64, 64]
        y: fp16[1, 1, 64, 64] = band_part(x=x, lower=-1, upper=0)
        return y
    """,
    silent="""
        x: fp16[1, 1, 64, 64]
        y: fp16[1, 1, 64, 64] = mul(x=x, y=fp16[1, 1, 64, 64])
        return y
    """,
)

SCATTER = OpRule(
    code="ANE-OP-003",
    name="scatter",
    summary="scatter, scatter_along_axis and scatter_nd never run on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="AB",
    confidence="H",
    ops=("scatter", "scatter_along_axis", "scatter_nd"),
    why="""
        coremltools' own comments say that scatter leaves the engine; CPU only on an M4 (macOS 27.0.1) and refused on an
        M5. A profile of an M5 saw rank-5 cache writes by scatter refused in every precision.
    """,
    fix="Write through a mask: select, or x * keep + onehot * new; or hand the new rows out and write on the host.",
    source=f"apple/coremltools ops.py (index_put, slice_scatter); {FOUR}; FluidInference/FluidAudio ANE_Profiler.md",
    find=never,
    fires="""
        x: fp16[1, 512, 64]
        i: int32[1]
        u: fp16[1, 1, 64]
        y: fp16[1, 512, 64] = scatter(data=x, indices=i, updates=u, axis=1, mode="update")
        return y
    """,
    silent="""
        x: fp16[1, 512, 64]
        keep: fp16[1, 512, 1]
        y: fp16[1, 512, 64] = mul(x=x, y=keep)
        return y
    """,
)

ONE_HOT = OpRule(
    code="ANE-OP-004",
    name="one-hot",
    summary="one_hot never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("one_hot",),
    why="CPU only on an M4 (macOS 27.0.1), absent from another M4's supported set, refused on an M5.",
    fix="Compare the index with a constant 0, 1, 2, ... in fp16, or take the one-hot vector as an input.",
    source=FOUR,
    find=never,
    fires="""
        i: int32[1]
        y: fp16[1, 256] = one_hot(indices=i, one_hot_vector_size=256, axis=-1)
        return y
    """,
    silent="""
        i: fp16[1, 1]
        y: bool[1, 256] = equal(x=i, y=fp16[1, 256])
        return y
    """,
)


WINDOWS = OpRule(
    code="ANE-OP-015",
    name="sliding-windows",
    summary="sliding_windows never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("sliding_windows",),
    why="On an M4 (macOS 27.0.1) it is the CPU's even where a GPU may help; refused on an M5, no path in ane-guide.",
    fix="Use a convolution whose kernel is an identity, or slices at fixed places.",
    source=FOUR,
    find=never,
    fires="""
        x: fp16[1, 64, 128]
        y: fp16[1, 64, 125, 4] = sliding_windows(x=x, axis=2, size=4, stride=1)
        return y
    """,
    silent="""
        x: fp16[1, 64, 128]
        y: fp16[1, 256, 125] = conv(x=x, weight=fp16[256, 64, 4])
        return y
    """,
)

UNKNOWN = OpRule(
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
)

RULES = RuleFamily(
    name="pathless-ops",
    title="Ops without a way to the engine",
    rules=(
        RECURRENT, BAND_PART, SCATTER, ONE_HOT, CUMSUM, ARGSORT, ARGMAX, PROD, MOD, TRIGONOMETRY, WINDOWS,
        *RUNTIME_OPS, *CONTESTED_OPS, RECURRENT_ON_GPU, UNKNOWN,
    ),
)  # fmt: skip
