"""Attention (ANE-AT): its ops, shapes and functions; attention_masks.py holds masks and positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mctc.linter.coreml.forms import axis as softmax_axis
from mctc.linter.coreml.forms import rank
from mctc.linter.coreml.graph import FunctionGraph, Op, PackageGraph, Shape, size_of
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, PackageRule, RuleFamily, Severity, Sides
from mctc.linter.coreml.rules.attention_defects import DEFECT_RULES
from mctc.linter.coreml.rules.attention_masks import ATTENTION, MASK_RULES, SCORES
from mctc.linter.coreml.sources import DISPATCH, GUIDE, NEURAL_ENGINE_RULES
from mctc.linter.coreml.target import Scope, Target
from mctc.linter.coreml.trace import before

FUSED = "scaled_dot_product_attention"
RELIABLE_KEYS, RELIABLE_QUERIES = 2048, 512
"""Sequence, and the smaller of queries and keys, up to which ane-guide found fused attention right (direct path)."""
SHORT_QUERY = 2
"""Positions that failed in Core AI; 4 ran."""
REGRESSED = 26
"""The release of iOS and macOS whose fused attention was seen to overflow in fp16."""


def _fused(op: Op, _: Target) -> str:
    queries, keys = _length(op.shape("query")), _length(op.shape("key"))
    if queries is None or keys is None:
        return "fused attention: Apple advises against it"
    if max(queries, keys) > RELIABLE_KEYS:
        return f"fused attention over {max(queries, keys)} positions: more than {RELIABLE_KEYS} weren't reliable"
    if min(queries, keys) >= RELIABLE_QUERIES:
        return f"fused attention of {queries} queries and {keys} keys: {RELIABLE_QUERIES} of both weren't reliable"
    return f"fused attention of {queries} queries and {keys} keys: Apple advises against it"


def _length(shape: Shape | None) -> int | None:
    return shape[-2] if shape is not None and len(shape) >= 2 else None


def _regressed(op: Op, target: Target) -> str | None:
    systems = [str(system) for system in target.systems if system.major >= REGRESSED]
    if not systems or op.dtype("query") != "fp16":
        return None
    return f"fused attention in fp16 on {' or '.join(systems)}: infinities and NaNs were reported"


@dataclass(frozen=True)
class Scores:
    """What a softmax or a fused attention works on. shape: as it is laid out; heads: batches included."""

    shape: Shape
    heads: int | None
    queries: int | None
    keys: int | None


def _scores(op: Op) -> Scores | None:
    """The scores of an attention; None where this is none, or in a layout that isn't known."""
    if op.type == FUSED:
        query, keys = op.shape("query"), _length(op.shape("key"))
        if query is None or len(query) < 2:
            return None
        return Scores((*query[:-1], keys), _product(query[:-2]), query[-2], keys)
    shape, axis = op.shape("x"), softmax_axis(op, -1)
    if shape is None or len(shape) < 2 or not _is_attention(op):
        return None
    if axis == len(shape) - 1:
        return Scores(shape, _product(shape[:-2]), shape[-2], shape[-1])
    if axis == len(shape) - 2:
        return Scores(shape, _product(shape[:-2]), shape[-1], shape[-2])
    if axis == 1 and len(shape) == 4:  # batch, keys, head, queries: Apple's layout of transformers
        return Scores(shape, _product((shape[0], shape[2])), shape[3], shape[1])
    return None


def _product(extents: Shape) -> int | None:
    known = [extent for extent in extents if extent is not None]
    return size_of(known) if len(known) == len(extents) else None


def _heads(op: Op, target: Target) -> str | None:
    """Scores of several heads in one tensor that is larger than what stays near the engine."""
    scores = _scores(op)
    count = _product(scores.shape) if scores is not None else None
    if scores is None or count is None or (scores.heads or 0) < 2:
        return None
    size, limit = 2 * count, target.family.working_set
    if size <= limit:
        return None
    shown = "x".join(map(str, scores.shape))
    return f"scores of {shown} at once are {size / 1e6:.1f} MB; {limit / 1e6:.1f} MB stay near the engine"


def _is_attention(op: Op) -> bool:
    """Whether a softmax is over products; a softmax of class scores comes from a linear or a conv."""
    return op.type == FUSED or any(each.type in ("matmul", "einsum") for each in before(op, SCORES))


def _rank_5(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    wide = [op for op in function.of_type(*ATTENTION) if rank(op.shape("x") or op.shape("query")) == 5]
    for op in wide:
        if _is_attention(op):
            yield Hit(f"{op.type} of rank 5", op)
    if any(_is_attention(op) for op in function.of_type(*ATTENTION)):
        for op in function.of_type("read_state"):
            if op.result is not None and rank(op.result.shape) == 5:
                yield Hit("a cache of rank 5", op)


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
    attention = [op for op in function.of_type(*ATTENTION) if _is_attention(op)]
    found = {scores.queries if (scores := _scores(op)) is not None else None for op in attention}
    return found.pop() if len(found) == 1 else None


FUSED_ATTENTION = OpRule(
    code="ANE-AT-001",
    name="fused-attention",
    summary="scaled_dot_product_attention, which sources disagree about",
    severity=Severity.INFO,
    evidence="ABCE",
    confidence="L",
    sides=Sides(
        stays=f"placed on an M4 with macOS 27.0.1, its mask included ({DISPATCH}, section 3.2)",
        leaves=(
            f"Apple: no fused path on the engine, split the heads ({NEURAL_ENGINE_RULES}, Attention); past Core ML a"
            " mask was ignored (mechramc/Orion ane_constraints.md, contradicted since), and more than 2048 positions or"
            f" 512 queries and keys came out wrong ({GUIDE})"
        ),
    ),
    ops=(FUSED,),
    why="""
        Core ML places it on the engine of an M4; Apple's rules for the engine advise against it. The sizes that weren't
        reliable were found on a direct path, and coremltools 9 often writes the parts instead of the op.
    """,
    fix="Compare its numbers with the CPU's; else write matmul, softmax and matmul for each head.",
    source=(
        f"{DISPATCH} (section 3.2); {NEURAL_ENGINE_RULES}; john-rocky/CoreML-LLM; mechramc/Orion ane_constraints.md; "
        f"{GUIDE}"
    ),
    find=_fused,
    fires="""
        q: fp16[1, 8, 64, 64]
        y: fp16[1, 8, 64, 64] = scaled_dot_product_attention(query=q, key=q, value=q)
        return y
    """,
    silent="""
        q: fp16[1, 8, 64, 64]
        s: fp16[1, 8, 64, 64] = matmul(x=q, y=q, transpose_y=True)
        p: fp16[1, 8, 64, 64] = softmax(x=s, axis=-1)
        y: fp16[1, 8, 64, 64] = matmul(x=p, y=q)
        return y
    """,
)

FUSED_OVERFLOW = OpRule(
    code="ANE-AT-001b",
    name="fused-attention-overflow",
    summary="scaled_dot_product_attention in fp16 on iOS 26 or macOS 26",
    severity=Severity.NUMERICS,
    evidence="E",
    confidence="L",
    scope=Scope(platforms=frozenset({"ios", "macos"})),
    ops=(FUSED,),
    why="""
        ExecuTorch saw infinities and NaNs in fp16 that earlier systems don't give, and took the op apart in its exports
        to get rid of them.
    """,
    fix="Write matmul, softmax and matmul, or compare the numbers on that system with the CPU's.",
    source="pytorch/executorch #15833, #16144",
    find=_regressed,
    fires="""
        q: fp16[1, 8, 64, 64]
        y: fp16[1, 8, 64, 64] = scaled_dot_product_attention(query=q, key=q, value=q)
        return y
    """,
    silent="""
        q: fp32[1, 8, 64, 64]
        y: fp32[1, 8, 64, 64] = scaled_dot_product_attention(query=q, key=q, value=q)
        return y
    """,
)

FUSED_HEADS = OpRule(
    code="ANE-AT-013",
    name="heads-in-one-product",
    summary="attention scores of several heads in one tensor that is larger than the engine keeps near",
    severity=Severity.PERFORMANCE,
    evidence="A",
    confidence="H",
    ops=ATTENTION,
    why="""
        Apple splits attention by head, so that a head's scores stay in fast memory, and saw 10 to 30 % on phones. The
        size taken here is the bytes of one operand that stay near the engine (2 MiB up to M4, 4.72 MB from M5), which
        is contested (ANE-LY-008). On an M6 thousands of small products take the compiler over 20 minutes (ANE-GR-007).
    """,
    fix="Make the products and the softmax of each head apart, where the target isn't an M6.",
    source=(
        f"{NEURAL_ENGINE_RULES}, lines 333 to 353; apple/ml-stable-diffusion README; size: 751K hal_analysis.md and "
        f"{GUIDE} chapter 21"
    ),
    find=_heads,
    fires="""
        q: fp16[1, 12, 512, 64]
        s: fp16[1, 12, 512, 512] = matmul(x=q, y=q, transpose_y=True)
        y: fp16[1, 12, 512, 512] = softmax(x=s, axis=-1)
        return y
    """,
    silent="""
        q: fp16[1, 4, 512, 64]
        s: fp16[1, 4, 512, 512] = matmul(x=q, y=q, transpose_y=True)
        y: fp16[1, 4, 512, 512] = softmax(x=s, axis=-1)
        return y
    """,
)

RANK_5 = FunctionRule(
    code="ANE-AT-015",
    name="attention-of-rank-5",
    summary="attention, or the cache of a function with attention, of rank 5",
    severity=Severity.WARNING,
    effect=Effect.DOUBT,
    evidence="AE",
    confidence="M",
    why="ExecuTorch's notes on language models advise against attention of rank 5 and keep a list of rank-4 caches.",
    fix="Merge the batch and head axes, and keep one cache of rank 4 for each layer.",
    source="pytorch/executorch examples/apple/coreml/llama readme.md, lines 134 to 146",
    find=_rank_5,
    fires="""
        q: fp16[1, 2, 4, 64, 64]
        y: fp16[1, 2, 4, 64, 64] = scaled_dot_product_attention(query=q, key=q, value=q)
        return y
    """,
    silent="""
        q: fp16[1, 8, 64, 64]
        y: fp16[1, 8, 64, 64] = scaled_dot_product_attention(query=q, key=q, value=q)
        return y
    """,
)

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

RULES = RuleFamily(
    name="attention",
    title="Attention",
    rules=(
        FUSED_ATTENTION, FUSED_OVERFLOW, FUSED_HEADS, *MASK_RULES, RANK_5, SHORT_DECODE, ONE_AT_A_TIME,
        *DEFECT_RULES,
    ),
)  # fmt: skip
