"""States (ANE-ST)."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.forms import axis
from mctc.linter.coreml.graph import FunctionGraph, Op, as_tensor
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, RuleFamily, Severity, Sides, listed
from mctc.linter.coreml.rules.state_calls import CALLS
from mctc.linter.coreml.rules.state_outputs import STATE_OUTPUTS
from mctc.linter.coreml.target import Scope, Target

ACCESSES = ("read_state", "write_state", "coreml_update_state")
WIDTH = 32


def _access(op: Op, _: Target) -> str:
    return f"{op.type}: sources disagree on whether the Neural Engine runs functions with states"


def _widths(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for state in function.states:
        tensor = as_tensor(state.type)
        users = function.uses.get(state.name)
        width = tensor.shape[-1] if tensor is not None and tensor.shape else None
        if users and width and width % WIDTH:
            yield Hit(f"the last axis of state {state.name} is {width}, not a multiple of {WIDTH}", users[0])


def _three_or_more(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    if (count := len(function.states)) >= 3:
        names = listed(state.name for state in function.states)
        yield Hit(f"{count} states ({names}): the plan may say Neural Engine, the prediction fails")


def _two(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    if len(function.states) == 2:
        names = " and ".join(state.name for state in function.states)
        yield Hit(f"two states ({names}): some such functions failed at the first prediction")


def _shift(op: Op, _: Target) -> str | None:
    """concat([K[1:], k]) along one axis, of the shape of K, kept for the next call."""
    place, piece = axis(op), op.producer("values")
    if piece is None or piece.type != "slice_by_index" or place is None or not _is_kept(op):
        return None
    whole, rest, result = piece.shape("x"), piece.result, op.result
    if whole is None or rest is None or rest.shape is None or result is None or result.shape != whole:
        return None
    if not 0 <= place < len(whole) == len(rest.shape) or not _is_cache(piece):
        return None
    length, left = whole[place], rest.shape[place]
    if length is None or left is None or left >= length or _start(piece, place, length) != length - left:
        return None
    return f"a cache moves on by {length - left} of {length} positions with slice and concat"


def _start(piece: Op, place: int, length: int) -> int | None:
    begin = piece.numbers("begin")
    masked = piece.numbers("begin_mask")
    if place >= len(begin) or (place < len(masked) and masked[place]):
        return None
    return begin[place] % length if length else None


def _is_cache(piece: Op) -> bool:
    """Whether a slice is of a state or of an input."""
    source = piece.producer("x")
    if source is not None:
        return source.type == "read_state"
    names = {item.name for item in piece.function.inputs}
    return any(getattr(binding, "name", None) in names for binding in piece.bindings("x"))


def _is_kept(op: Op) -> bool:
    """Whether a result goes into a state or out of the function."""
    outputs = {item.name for item in op.function.outputs}
    return any(result.name in outputs for result in op.results) or any(user.type in ACCESSES for user in op.users())


RULES = RuleFamily(
    name="state",
    title="States",
    rules=(
        OpRule(
            code="ANE-ST-001",
            name="state-access",
            summary="a state is read or written: sources disagree on whether that runs on the engine",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="AB",
            confidence="M",
            ops=ACCESSES,
            why="""
                Functions with one or two states run on the engine of an iPhone 17 Pro and of an M4 Max; others, on
                iOS 26, on an M5 Pro and on Macs of 2024, stop with compiler error -14 or fail when they run, while the
                GPU takes them. What decides is the shapes, the ops around and the system.
            """,
            fix="""
                Keep one packed state a function and try it on the device, or pass the state as an input and an output,
                as Apple's models of 2026 do.
            """,
            source=(
                "john-rocky/CoreML-LLM MLSTATE_PATTERN.md and HANDOFF.md:53; videlalvaro/ane-book (40 shards); "
                "coremltools #2325, #2553; mobius PR #77; Apple neural_engine_rules.md:384-386"
            ),
            sides=Sides(
                stays=(
                    "CoreML-LLM ships one state (two for Gemma 4) on an iPhone 17 Pro; ane-book has two in each of 40 "
                    "shards, all convolutions on the engine of an M4 Max"
                ),
                leaves=(
                    "CoreML-LLM HANDOFF.md: the compiler rejects coreml_update_state with -14 on iOS 26; coremltools "
                    "#2325 and #2553: fails on the engine, runs on the GPU; mobius PR #77: -14 on an M5 Pro; Apple's "
                    "guide to states shows CPU and GPU only"
                ),
            ),
            find=_access,
            fires="""
                s: state[fp16[1, 64, 1, 32]]
                x: fp16[1, 64, 1, 32]
                r: fp16[1, 64, 1, 32] = read_state(input=s)
                y: fp16[1, 64, 1, 32] = add(x=x, y=r)
                write_state(input=s, data=y)
                return y
            """,
            silent="""
                s_in: fp16[1, 64, 1, 32]
                x: fp16[1, 64, 1, 32]
                y: fp16[1, 64, 1, 32] = add(x=x, y=s_in)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-ST-002",
            name="state-width",
            summary="the last axis of a state is no multiple of 32",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="EA",
            confidence="M",
            why="""
                On an M4 with macOS 15.2 a state 270 wide fails on the engine, one of 256 passes. 32 fp16 elements are
                the 64 bytes to which Apple's rules align the last axis of inputs and outputs.
            """,
            fix="Pad the last axis to the next multiple of 32.",
            source="coremltools #2631; Apple neural_engine_rules.md (tensor memory alignment)",
            find=_widths,
            fires="""
                s: state[fp16[1, 3, 480, 270]]
                x: fp16[1, 3, 480, 270]
                r: fp16[1, 3, 480, 270] = read_state(input=s)
                y: fp16[1, 3, 480, 270] = add(x=x, y=r)
                write_state(input=s, data=y)
                return y
            """,
            silent="""
                s: state[fp16[1, 3, 480, 256]]
                x: fp16[1, 3, 480, 256]
                r: fp16[1, 3, 480, 256] = read_state(input=s)
                y: fp16[1, 3, 480, 256] = add(x=x, y=r)
                write_state(input=s, data=y)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-ST-003",
            name="three-states",
            summary="three or more states in one function fail at the first prediction",
            severity=Severity.ERROR,
            evidence="B",
            confidence="M",
            why="""
                The plan puts such a function on the engine (99.8 to 100 %), and every prediction then stops with
                ANEProgramProcessRequestDirect status 0x1d on an iPhone 17 Pro. The CPU gets writes to several states
                wrong too.
            """,
            fix="Pack the states into one, and pass what is left as inputs and outputs.",
            source="john-rocky/CoreML-LLM MLSTATE_PATTERN.md:15-29",
            find=_three_or_more,
            fires="""
                a: state[fp16[1, 64, 1, 32]]
                b: state[fp16[1, 64, 1, 32]]
                c: state[fp16[1, 64, 1, 32]]
                x: fp16[1, 64, 1, 32]
                r: fp16[1, 64, 1, 32] = read_state(input=a)
                y: fp16[1, 64, 1, 32] = add(x=x, y=r)
                return y
            """,
            silent="""
                a: state[fp16[1, 64, 1, 32]]
                b: state[fp16[1, 64, 1, 32]]
                x: fp16[1, 64, 1, 32]
                r: fp16[1, 64, 1, 32] = read_state(input=a)
                y: fp16[1, 64, 1, 32] = add(x=x, y=r)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-ST-003b",
            name="two-states",
            summary="two states in one function: some fail at the first prediction",
            severity=Severity.WARNING,
            evidence="B",
            confidence="M",
            why="""
                LFM2 with a cache for attention and a small one for convolutions compiles and then stops with status
                0x1d on macOS 26.0.1, whatever the shape of the second; with one state it runs. Two states of the same
                shape run elsewhere.
            """,
            fix="Pack the two into one state, or pass the smaller one as an input and an output.",
            source=(
                "john-rocky/CoreML-LLM LFM2_CONVERSION_FINDINGS.md (dual-state programs), MLSTATE_PATTERN.md; "
                "videlalvaro/ane-book"
            ),
            sides=Sides(
                stays=(
                    "ane-book runs two states of [1, 2, 2048, 128] a shard on an M4 Max; CoreML-LLM ships Gemma 4 with "
                    "two on an iPhone 17 Pro"
                ),
                leaves="CoreML-LLM's LFM2: seven forms of a second state, each fails at prediction (macOS 26.0.1)",
            ),
            find=_two,
            fires="""
                a: state[fp16[1, 64, 1, 32]]
                b: state[fp16[1, 64, 1, 32]]
                x: fp16[1, 64, 1, 32]
                r: fp16[1, 64, 1, 32] = read_state(input=a)
                y: fp16[1, 64, 1, 32] = add(x=x, y=r)
                return y
            """,
            silent="""
                a: state[fp16[1, 128, 1, 32]]
                x: fp16[1, 128, 1, 32]
                r: fp16[1, 128, 1, 32] = read_state(input=a)
                y: fp16[1, 128, 1, 32] = add(x=x, y=r)
                return y
            """,
        ),
        OpRule(
            code="ANE-ST-004",
            name="shifted-cache",
            summary="a cache moves on by dropping its first positions and appending new ones",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="B",
            confidence="L",
            scope=Scope(platforms=frozenset({"ios"})),
            ops=("concat",),
            why="""
                On an iPhone this form of a cache gave compiler error -14 in some models, while others ship with it.
                Which of them an app's will be, the file doesn't tell.
            """,
            fix="Write new positions with a mask (old * (1 - mask) + new * mask) into a cache that stays in place.",
            source="john-rocky/CoreML-LLM DECODE_STATE_LAYOUTS.md:67-90",
            sides=Sides(
                stays="CoreML-LLM ships models that shift their cache",
                leaves="other models of CoreML-LLM: compiler error -14 on an iPhone",
            ),
            find=_shift,
            fires="""
                s: state[fp16[1, 8, 512, 64]]
                k: fp16[1, 8, 1, 64]
                r: fp16[1, 8, 512, 64] = read_state(input=s)
                old: fp16[1, 8, 511, 64] = slice_by_index(x=r, begin=[0, 0, 1, 0], end=[1, 8, 512, 64])
                y: fp16[1, 8, 512, 64] = concat(values=[old, k], axis=2, interleave=False)
                write_state(input=s, data=y)
                return y
            """,
            silent="""
                s: state[fp16[1, 8, 512, 64]]
                k: fp16[1, 8, 1, 64]
                r: fp16[1, 8, 512, 64] = read_state(input=s)
                old: fp16[1, 8, 511, 64] = slice_by_index(x=r, begin=[0, 0, 0, 0], end=[1, 8, 511, 64])
                y: fp16[1, 8, 512, 64] = concat(values=[old, k], axis=2, interleave=False)
                write_state(input=s, data=y)
                return y
            """,
        ),
        *CALLS,
        *STATE_OUTPUTS,
    ),
)
