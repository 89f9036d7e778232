"""States (ANE-ST)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from mctc.linter.coreml.forms import axis
from mctc.linter.coreml.graph import FunctionGraph, Op, PackageGraph, Shape, as_tensor, elements
from mctc.linter.coreml.interface import enumerated
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, PackageRule, RuleFamily, Severity, Sides, listed
from mctc.linter.coreml.rules.state_outputs import STATE_OUTPUTS
from mctc.linter.coreml.target import Scope, Target

ACCESSES = ("read_state", "write_state", "coreml_update_state")
WIDTH = 32
ATTENTION = {"matmul": ("x", "y"), "scaled_dot_product_attention": ("key", "value")}
CARRIES = {"slice_update": "x", "transpose": "x", "reshape": "x", "expand_dims": "x", "squeeze": "x", "cast": "x",
           "identity": "x", "tile": "x", "slice_by_index": "x"}  # fmt: skip
"""Ops through which a state is followed to where it is used, with the operand that carries it."""
LONGEST_WAY = 8


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


def _longer_beside(package: PackageGraph, _: Target) -> Iterator[Hit]:
    """Functions with two states and an input that another function takes with fewer elements."""
    if len(package.functions) < 2:
        return
    least: dict[str, int] = {}
    for function in package.functions.values():
        for item in function.inputs:
            least[item.name] = min(elements(item.type), least.get(item.name, elements(item.type)))
    for function in package.functions.values():
        longer = [item.name for item in function.inputs if elements(item.type) > least[item.name]]
        if len(function.states) >= 2 and longer:
            yield Hit(
                f"{len(function.states)} states and more than one step a call (by {listed(longer)}), "
                f"in a package of {len(package.functions)} functions",
                function=function.name,
            )


def _lengths(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    """States that an attention takes whole."""
    if not function.states:
        return
    taken: dict[str, int] = {}
    for op in function.of_type(*ATTENTION):
        for operand in ATTENTION[op.type]:
            if (found := _state_of(op, operand)) is not None:
                taken[found[0]] = found[1]
    if taken:
        which = listed(f"{name} ({length})" for name, length in taken.items())
        yield Hit(f"every call attends over the full length of {which}")


def _state_of(op: Op, operand: str) -> tuple[str, int] | None:
    """The state that an operand comes from and its longest extent, where all of that extent is taken."""
    shapes: list[Shape] = []
    source = op.producer(operand)
    for _ in range(LONGEST_WAY):
        if source is None or source.type not in CARRIES:
            break
        if source.result is not None and source.result.shape is not None:
            shapes.append(source.result.shape)
        source = source.producer(CARRIES[source.type])
    tensor = source.result if source is not None and source.type == "read_state" else None
    if source is None or tensor is None or not tensor.shape or prod(extent or 1 for extent in tensor.shape) < 2:
        return None
    longest = max(extent or 1 for extent in tensor.shape)
    name = next((getattr(binding, "name", "") for binding in source.bindings("input")), "")
    return (name, longest) if all(longest in shape for shape in shapes) else None


def _listed_shapes(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    flexible = enumerated(function)
    if function.states and flexible:
        yield Hit(f"{listed(each.name for each in flexible)} with listed shapes in a function with states")


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
        PackageRule(
            code="ANE-ST-005",
            name="states-of-several-functions",
            summary="a package of several functions has one with two states that takes several steps a call",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="B",
            confidence="M",
            scope=Scope(platforms=frozenset({"ios"})),
            why="""
                An iPhone rejected a package that joined such a function for the prompt with one for single steps; the
                same functions in packages of their own compiled, with 288 steps a call. That an input is larger here
                than in another function is taken for several steps.
            """,
            fix="Give each function a package of its own, or pack its states into one.",
            source="john-rocky/CoreML-LLM SESSION_2026_04_26_STAGE3",
            find=_longer_beside,
            fires="""
                def decode():
                    k: state[fp16[1, 8, 512, 64]]
                    v: state[fp16[1, 8, 512, 64]]
                    x: fp16[1, 512, 1, 1]
                    y: fp16[1, 512, 1, 1] = relu(x=x)
                    return y
                def prefill():
                    k: state[fp16[1, 8, 512, 64]]
                    v: state[fp16[1, 8, 512, 64]]
                    x: fp16[1, 512, 1, 288]
                    y: fp16[1, 512, 1, 288] = relu(x=x)
                    return y
            """,
            silent="""
                def decode():
                    k: state[fp16[1, 8, 512, 64]]
                    v: state[fp16[1, 8, 512, 64]]
                    x: fp16[1, 512, 1, 1]
                    y: fp16[1, 512, 1, 1] = relu(x=x)
                    return y
                def prefill():
                    k: state[fp16[1, 8, 512, 64]]
                    v: state[fp16[1, 8, 512, 64]]
                    x: fp16[1, 512, 1, 1]
                    y: fp16[1, 512, 1, 1] = relu(x=x)
                    return y
            """,
        ),
        FunctionRule(
            code="ANE-ST-006",
            name="attention-over-state",
            summary="attention takes a whole state at every call",
            severity=Severity.PERFORMANCE,
            evidence="B",
            confidence="M",
            why="""
                Decoding on the engine costs as much as the state is long, however little of it is filled: shapes are
                fixed, and masked positions are computed too.
            """,
            fix="Keep the window short, or have functions for several lengths.",
            source="john-rocky/CoreML-LLM DECODE_STATE_LAYOUTS.md:22-37",
            find=_lengths,
            fires="""
                s: state[fp16[1, 8, 2048, 64]]
                q: fp16[1, 8, 1, 64]
                r: fp16[1, 8, 2048, 64] = read_state(input=s)
                y: fp16[1, 8, 1, 2048] = matmul(x=q, y=r, transpose_y=True)
                return y
            """,
            silent="""
                s: state[fp16[1, 8, 2048, 64]]
                q: fp16[1, 8, 1, 64]
                r: fp16[1, 8, 2048, 64] = read_state(input=s)
                w: fp16[1, 8, 256, 64] = slice_by_index(x=r, begin=[0, 0, 1792, 0], end=[1, 8, 2048, 64])
                y: fp16[1, 8, 1, 256] = matmul(x=q, y=w, transpose_y=True)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-ST-007",
            name="listed-shapes-with-state",
            summary="inputs with listed shapes in a function with states fail when it runs",
            severity=Severity.WARNING,
            evidence="B",
            confidence="M",
            why="""
                On an M4 Max the runtime rejected such a model with std::bad_cast; the same model with a range of 1 to 4
                steps ran.
            """,
            fix="Fix the shapes, one function for each, or use a short range.",
            source="videlalvaro/ane-book experiment 26",
            find=_listed_shapes,
            fires="""
                s: state[fp16[1, 64, 1, 32]]
                x: enum[fp16[1, 64, 1, 1], fp16[1, 64, 1, 4]]
                y: fp16[1, 64, 1, _] = relu(x=x)
                return y
            """,
            silent="""
                s: state[fp16[1, 64, 1, 32]]
                x: fp16[1, 64, 1, 1:4]
                y: fp16[1, 64, 1, _] = relu(x=x)
                return y
            """,
        ),
        *STATE_OUTPUTS,
    ),
)
