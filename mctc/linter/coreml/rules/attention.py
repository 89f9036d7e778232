"""Attention (ANE-AT): its ops, shapes and functions; attention_masks.py holds masks and positions."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.forms import rank
from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, RuleFamily, Severity, Sides
from mctc.linter.coreml.rules.attention_decoding import ONE_AT_A_TIME, SHORT_DECODE
from mctc.linter.coreml.rules.attention_defects import DEFECT_RULES
from mctc.linter.coreml.rules.attention_masks import ATTENTION, MASK_RULES
from mctc.linter.coreml.rules.attention_scores import FUSED, is_attention, length, product, scores_of
from mctc.linter.coreml.sources import DISPATCH, GUIDE, NEURAL_ENGINE_RULES
from mctc.linter.coreml.target import Scope, Target

RELIABLE_KEYS, RELIABLE_QUERIES = 2048, 512
"""Sequence, and the smaller of queries and keys, up to which ane-guide found fused attention right (direct path)."""
REGRESSED = 26
"""The release of iOS and macOS whose fused attention was seen to overflow in fp16."""


def _fused(op: Op, _: Target) -> str:
    queries, keys = length(op.shape("query")), length(op.shape("key"))
    if queries is None or keys is None:
        return "fused attention: Apple advises against it"
    if max(queries, keys) > RELIABLE_KEYS:
        return f"fused attention over {max(queries, keys)} positions: more than {RELIABLE_KEYS} weren't reliable"
    if min(queries, keys) >= RELIABLE_QUERIES:
        return f"fused attention of {queries} queries and {keys} keys: {RELIABLE_QUERIES} of both weren't reliable"
    return f"fused attention of {queries} queries and {keys} keys: Apple advises against it"


def _regressed(op: Op, target: Target) -> str | None:
    systems = [str(system) for system in target.systems if system.major >= REGRESSED]
    if not systems or op.dtype("query") != "fp16":
        return None
    return f"fused attention in fp16 on {' or '.join(systems)}: infinities and NaNs were reported"


def _heads(op: Op, target: Target) -> str | None:
    """Scores of several heads in one tensor that is larger than what stays near the engine."""
    scores = scores_of(op)
    count = product(scores.shape) if scores is not None else None
    if scores is None or count is None or (scores.heads or 0) < 2:
        return None
    size, limit = 2 * count, target.family.working_set
    if size <= limit:
        return None
    shown = "x".join(map(str, scores.shape))
    return f"scores of {shown} at once are {size / 1e6:.1f} MB; {limit / 1e6:.1f} MB stay near the engine"


def _rank_5(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    wide = [op for op in function.of_type(*ATTENTION) if rank(op.shape("x") or op.shape("query")) == 5]
    for op in wide:
        if is_attention(op):
            yield Hit(f"{op.type} of rank 5", op)
    if any(is_attention(op) for op in function.of_type(*ATTENTION)):
        for op in function.of_type("read_state"):
            if op.result is not None and rank(op.result.shape) == 5:
                yield Hit("a cache of rank 5", op)


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


RULES = RuleFamily(
    name="attention",
    title="Attention",
    rules=(
        FUSED_ATTENTION, FUSED_OVERFLOW, FUSED_HEADS, *MASK_RULES, RANK_5, SHORT_DECODE, ONE_AT_A_TIME,
        *DEFECT_RULES,
    ),
)  # fmt: skip
