"""What the two engines of an M6 (H18G) are bad at; part of the family `whole-graph`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from mctc.linter.coreml.forms import CONVOLUTIONS
from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, Severity
from mctc.linter.coreml.support import BINARY, LESS_CERTAIN, UNARY
from mctc.linter.coreml.target import Scope, Target

M6 = Scope(families=frozenset({"H18G"}))
ELEMENTWISE = frozenset((*UNARY, *BINARY, *LESS_CERTAIN)) - {"einsum", "stack", "expand_dims", "squeeze"}
SMALL_PRODUCTS = 2000
ELEMENTWISE_RUN = 256
CHAIN = 387


def _many_small_products(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    count = len(function.of_type("einsum", "matmul"))
    if count >= SMALL_PRODUCTS:
        yield Hit(f"{count} einsum and matmul ops in one function")


def _elementwise_run(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for plain, group in groupby(function.ops, key=lambda op: op.type in ELEMENTWISE):
        run = list(group)
        if plain and len(run) >= ELEMENTWISE_RUN:
            yield Hit(f"{len(run)} elementwise ops in a row", run[0])


def _long_chain(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    """The most convolutions that one value passes."""
    depth: dict[Op, int] = {}
    for op in function.ops:
        before = max((depth.get(maker, 0) for maker in op.producers()), default=0)
        depth[op] = before + (op.type in CONVOLUTIONS)
    most = max(depth.values(), default=0)
    if most >= CHAIN:
        yield Hit(f"a chain of {most} convolutions")


DUAL_ENGINE = (
    FunctionRule(
        code="ANE-GR-007",
        name="thousands-of-products",
        summary="thousands of einsum and matmul ops, for an M6",
        severity=Severity.WARNING,
        evidence="B",
        confidence="M",
        scope=M6,
        why="""
            An encoder of 15,849 ops, 5,120 of them einsum (WhisperKit large-v3-turbo, heads split as Apple advises),
            compiled for over 20 minutes with 78 GB of swap on the M6's two engines; 41 s and 3.8 GB on an M4. Where it
            begins isn't known, 2000 are counted here. Placement isn't touched.
        """,
        fix="Use fewer and larger products for this chip, or compile ahead of time.",
        source="751K defects.md A3 and A4",
        find=_many_small_products,
        fires="""
            x: fp16[1, 4, 4]
            for _ in range(2000):
                y: fp16[1, 4, 4] = matmul(x=x, y=x)
            return y
        """,
        silent="""
            x: fp16[1, 4, 4]
            for _ in range(1999):
                y: fp16[1, 4, 4] = matmul(x=x, y=x)
            return y
        """,
    ),
    FunctionRule(
        code="ANE-GR-008",
        name="long-elementwise-run",
        summary="256 or more elementwise ops in a row, for an M6",
        severity=Severity.WARNING,
        evidence="B",
        confidence="M",
        scope=M6,
        why="""
            512 elementwise layers compiled in 178.6 s for the M6's two engines, in 0.39 s for one, and in over 8
            minutes through Core ML. Placement isn't touched.
        """,
        fix="Fuse or simplify them.",
        source="751K defects.md B1",
        find=_elementwise_run,
        fires="""
            x: fp16[1, 64, 1, 64]
            for _ in range(256):
                x: fp16[1, 64, 1, 64] = add(x=x, y=fp16[1])
            return x
        """,
        silent="""
            x: fp16[1, 64, 1, 64]
            for _ in range(255):
                x: fp16[1, 64, 1, 64] = add(x=x, y=fp16[1])
            return x
        """,
    ),
    FunctionRule(
        code="ANE-NM-011",
        name="long-convolution-chain",
        summary="387 or more convolutions in a chain, for an M6",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="B",
        confidence="M",
        scope=M6,
        why="""
            387 and more 1x1 convolutions in a chain overflow the compiler's stack: Core ML then runs the program on the
            CPU without a word, 100 times slower, or hangs (at 387 and 392). An M4 took 448.
        """,
        fix="Split the program in two.",
        source="751K defects.md A1 and A2",
        find=_long_chain,
        fires="""
            x: fp16[1, 64, 1, 64]
            for _ in range(387):
                x: fp16[1, 64, 1, 64] = conv(x=x, weight=fp16[64, 64, 1, 1])
            return x
        """,
        silent="""
            x: fp16[1, 64, 1, 64]
            for _ in range(386):
                x: fp16[1, 64, 1, 64] = conv(x=x, weight=fp16[64, 64, 1, 1])
            return x
        """,
    ),
)
