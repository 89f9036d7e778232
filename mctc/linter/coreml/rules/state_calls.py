"""Functions with states, by what a call of them takes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from mctc.linter.coreml.graph import FunctionGraph, Op, PackageGraph, Shape, elements
from mctc.linter.coreml.interface import enumerated
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, PackageRule, Severity, listed
from mctc.linter.coreml.target import Scope, Target

ATTENTION = {"matmul": ("x", "y"), "scaled_dot_product_attention": ("key", "value")}
CARRIES = {"slice_update": "x", "transpose": "x", "reshape": "x", "expand_dims": "x", "squeeze": "x", "cast": "x",
           "identity": "x", "tile": "x", "slice_by_index": "x"}  # fmt: skip
"""Ops through which a state is followed to where it is used, with the operand that carries it."""
LONGEST_WAY = 8


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


CALLS = (
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
)
