"""Attention of decoders that go on a few positions a call."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.graph import FunctionGraph, PackageGraph
from mctc.linter.coreml.rule import Hit, PackageRule, Severity
from mctc.linter.coreml.rules.attention_masks import ATTENTION
from mctc.linter.coreml.rules.attention_scores import is_attention, scores_of
from mctc.linter.coreml.sources import NEURAL_ENGINE_RULES
from mctc.linter.coreml.target import Target

SHORT_QUERY = 2
"""Positions that failed in Core AI; 4 ran."""


def _short_decode(package: PackageGraph, _: Target) -> Iterator[Hit]:
    """A function that takes one or two positions, beside one that takes more of the same input."""
    widths = {name: _queries(function) for name, function in package.functions.items()}
    known = {name: width for name, width in widths.items() if width is not None}
    widest = max(known.values(), default=0)
    for name, width in known.items():
        if width <= SHORT_QUERY < widest:
            wide = next(each for each, other in known.items() if other == widest)
            message = f"{name} takes {_positions(width)} at a time, {wide} takes {widest}"
            yield Hit(message, function=name)


def _one_at_a_time(package: PackageGraph, _: Target) -> Iterator[Hit]:
    """Functions with a cache that take one position, in a package without any that takes more."""
    if any(_queries(function) != 1 for function in package.functions.values()):
        return
    for name, function in package.functions.items():
        if function.states:
            yield Hit("takes one position at a time, and no function of the package takes more", function=name)


def _positions(count: int) -> str:
    return "1 position" if count == 1 else f"{count} positions"


def _queries(function: FunctionGraph) -> int | None:
    """How many queries all attention of a function has; None where it has none, or they differ or aren't known."""
    attention = [op for op in function.of_type(*ATTENTION) if is_attention(op)]
    found = {scores.queries if (scores := scores_of(op)) is not None else None for op in attention}
    return found.pop() if len(found) == 1 else None


SHORT_DECODE = PackageRule(
    code="ANE-AT-016",
    name="short-decode",
    summary="a function that takes one or two positions beside one that takes more",
    severity=Severity.WARNING,
    evidence="B",
    confidence="L",
    why="""
        Exports of Qwen3 failed when called (0xe00002c2) with 1 and with 2 positions and ran with 4 and with 8, at the
        same speed within 0.8 %, through Core AI on an M5 Pro with macOS 27. Many Core ML decoders do run with one
        position, so it may be Core AI's alone.
    """,
    fix="Try it on the device; if it fails, pad decoding to 4 positions.",
    source="cadamcat/llms-on-apple-neural-engine findings/ane-short-decode-query; videlalvaro/ane-book",
    find=_short_decode,
    fires="""
        def decode():
            q: fp16[1, 8, 1, 64]
            k: fp16[1, 8, 512, 64]
            s: fp16[1, 8, 1, 512] = matmul(x=q, y=k, transpose_y=True)
            y: fp16[1, 8, 1, 512] = softmax(x=s, axis=-1)
            return y
        def prefill():
            q: fp16[1, 8, 64, 64]
            k: fp16[1, 8, 512, 64]
            s: fp16[1, 8, 64, 512] = matmul(x=q, y=k, transpose_y=True)
            y: fp16[1, 8, 64, 512] = softmax(x=s, axis=-1)
            return y
    """,
    silent="""
        def decode():
            q: fp16[1, 8, 4, 64]
            k: fp16[1, 8, 512, 64]
            s: fp16[1, 8, 4, 512] = matmul(x=q, y=k, transpose_y=True)
            y: fp16[1, 8, 4, 512] = softmax(x=s, axis=-1)
            return y
        def prefill():
            q: fp16[1, 8, 64, 64]
            k: fp16[1, 8, 512, 64]
            s: fp16[1, 8, 64, 512] = matmul(x=q, y=k, transpose_y=True)
            y: fp16[1, 8, 64, 512] = softmax(x=s, axis=-1)
            return y
    """,
)
ONE_AT_A_TIME = PackageRule(
    code="ANE-AT-017",
    name="one-position-only",
    summary="a decoder with a cache that can only be filled one position at a time",
    severity=Severity.NUMERICS,
    evidence="A",
    confidence="M",
    why="""
        Apple's rules say that filling a cache one position at a time piles up fp16 rounding. A file doesn't tell how
        the app calls it, only that nothing else is there.
    """,
    fix="Add a function that takes 64 positions, for the prompt.",
    source=f"{NEURAL_ENGINE_RULES}, line 465",
    find=_one_at_a_time,
    fires="""
        c: state[fp16[1, 8, 512, 64]]
        q: fp16[1, 8, 1, 64]
        k: fp16[1, 8, 512, 64] = read_state(input=c)
        s: fp16[1, 8, 1, 512] = matmul(x=q, y=k, transpose_y=True)
        y: fp16[1, 8, 1, 512] = softmax(x=s, axis=-1)
        return y
    """,
    silent="""
        c: state[fp16[1, 8, 512, 64]]
        q: fp16[1, 8, 2, 64]
        k: fp16[1, 8, 512, 64] = read_state(input=c)
        s: fp16[1, 8, 2, 512] = matmul(x=q, y=k, transpose_y=True)
        y: fp16[1, 8, 2, 512] = softmax(x=s, axis=-1)
        return y
    """,
)
