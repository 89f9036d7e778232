"""Outputs that are values written to a state, or go into them (ANE-ST)."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.rule import FunctionRule, Hit, Severity
from mctc.linter.coreml.target import Target
from mctc.linter.coreml.trace import VIEWS, before
from mctc.package import Reference

WRITES = {"write_state": ("data", "input"), "coreml_update_state": ("value", "state")}
"""Ops that write a state, with the operands that hold the value and the state."""
DEPTH = 64
"""Ops behind a written value that are looked at."""


def _written(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for op, name, state, itself in _returned(function):
        if itself:
            yield Hit(f"output {name} is the value that is written to state {state}", op)


def _feeding(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for op, name, state, itself in _returned(function):
        if not itself:
            yield Hit(f"output {name} goes into the value that is written to state {state}", op)


def _returned(function: FunctionGraph) -> Iterator[tuple[Op, str, str, bool]]:
    """Outputs that written values are made of: the writing op, the output, the state, and whether it is the value
    itself, seen otherwise at most."""
    outputs = {item.name for item in function.outputs}
    for op in function.of_type(*WRITES) if outputs else ():
        value, state = WRITES[op.type]
        called = next((each.name for each in op.bindings(state) if isinstance(each, Reference)), "")
        names = {each.name for each in op.bindings(value) if isinstance(each, Reference)}
        itself = _views(op, value) | names
        for name in sorted(outputs & itself):
            yield op, name, called, True
        made = function.made.get(next(iter(names), ""))
        behind = {result.name for each in _makers(made) for result in each.results} if made is not None else set()
        for name in sorted((outputs & behind) - itself):
            yield op, name, called, False


def _views(op: Op, operand: str) -> set[str]:
    """The values that a value is a view of."""
    found: set[str] = set()
    made = op.producer(operand)
    while made is not None and made.type in VIEWS and len(found) < DEPTH:
        found |= {each.name for each in made.bindings("x") if isinstance(each, Reference)}
        made = made.producer("x")
    return found


def _makers(op: Op) -> Iterator[Op]:
    types = {each.type for each in op.function.ops} - {"read_state"}
    yield from before(op, types, DEPTH)


FIX = """
    Return another value: a product of it with 1, or what read_state gives after the write. mctc's own packages return
    the product.
"""

WRITTEN = FunctionRule(
    code="ANE-ST-008",
    name="returned-state-value",
    summary="an output is the value that is written to a state: reported to crash when it is loaded",
    severity=Severity.WARNING,
    evidence="E",
    confidence="L",
    why="""
        A pull request to coremltools, open since May 2026, rejects such programs, because the runtime ends with a
        segmentation fault while it loads them. A torch decoder that ends on `cache[:] = merged; return merged` becomes
        one. On what chip and system it was seen, the report doesn't say.
    """,
    fix=FIX,
    source="apple/coremltools #2713",
    find=_written,
    fires="""
        s: state[fp16[1, 64, 1, 64]]
        x: fp16[1, 64, 1, 64]
        r: fp16[1, 64, 1, 64] = read_state(input=s)
        y: fp16[1, 64, 1, 64] = add(x=r, y=x)
        write_state(input=s, data=y)
        return y
    """,
    silent="""
        s: state[fp16[1, 64, 1, 64]]
        x: fp16[1, 64, 1, 64]
        r: fp16[1, 64, 1, 64] = read_state(input=s)
        n: fp16[1, 64, 1, 64] = add(x=r, y=x)
        y: fp16[1, 64, 1, 64] = mul(x=n, y=1.0)
        write_state(input=s, data=n)
        return y
    """,
)

FEEDING = FunctionRule(
    code="ANE-ST-008b",
    name="returned-state-part",
    summary="an output goes into the value that is written to a state",
    severity=Severity.INFO,
    evidence="E",
    confidence="L",
    why="""
        The same pull request also rejects an output that the written value is computed from, such as the hidden vector
        of an LSTM that is joined with its cell and kept. Whether that crashes too, it doesn't tell; many packages have
        it.
    """,
    fix=FIX,
    source="apple/coremltools #2713",
    find=_feeding,
    fires="""
        s: state[fp16[1, 64, 1, 32]]
        x: fp16[1, 64, 1, 1]
        r: fp16[1, 64, 1, 32] = read_state(input=s)
        o: fp16[1, 64, 1, 31] = slice_by_index(x=r, begin=[0, 0, 0, 1], end=[1, 64, 1, 32])
        y: fp16[1, 64, 1, 1] = tanh(x=x)
        c: fp16[1, 64, 1, 32] = concat(values=[o, y], axis=3, interleave=False)
        write_state(input=s, data=c)
        return y
    """,
    silent="""
        s: state[fp16[1, 64, 1, 32]]
        x: fp16[1, 64, 1, 1]
        r: fp16[1, 64, 1, 32] = read_state(input=s)
        o: fp16[1, 64, 1, 31] = slice_by_index(x=r, begin=[0, 0, 0, 1], end=[1, 64, 1, 32])
        h: fp16[1, 64, 1, 1] = tanh(x=x)
        c: fp16[1, 64, 1, 32] = concat(values=[o, h], axis=3, interleave=False)
        y: fp16[1, 64, 1, 1] = mul(x=h, y=1.0)
        write_state(input=s, data=c)
        return y
    """,
)

STATE_OUTPUTS = (WRITTEN, FEEDING)
