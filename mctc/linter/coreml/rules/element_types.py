"""Element types (ANE-DT)."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.forms import axis
from mctc.linter.coreml.graph import FunctionGraph, Op, as_tensor
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, RuleFamily, Severity, Sides, listed
from mctc.linter.coreml.rules.element_types_fp32 import FP32
from mctc.linter.coreml.support import REFUSED
from mctc.linter.coreml.target import Target
from mctc.linter.coreml.trace import connected

WIDE_INTEGERS = ("int32", "uint32", "int64", "uint64")
LOOKUPS = ("gather", "gather_along_axis", "gather_nd")
ARGUMENT_OPS = ("reduce_argmax", "reduce_argmin", "argsort")
INDEX_OPERANDS = frozenset((
    "indices", "begin", "end", "size", "stride", "shape", "reps", "axis", "axes", "k", "lengths", "seq_lengths", "pad",
    "position", "offset", "output_shape", "num_splits", "split_sizes",
))  # fmt: skip
"""Operands that say where, not what; rules of their own speak of them."""
INT16_MOST = 32767
STEPS = 8
"""Casts and changes of shape that are looked through between an op and an output."""
PASSED_THROUGH = ("cast", "squeeze", "expand_dims", "reshape", "identity")


def _integers(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    """One finding for ops that are connected: arithmetic on the places that topk gives, for one."""
    of_type = {op: dtype for op in function.ops if (dtype := _integer_type(op)) is not None}
    for group in connected(list(of_type)):
        kinds = listed(dict.fromkeys(op.type for op in group))
        said = f"{group[0].type} works" if len(group) == 1 else f"{len(group)} connected ops ({kinds}) work"
        yield Hit(f"{said} on {of_type[group[0]]}", group[0], also=tuple(group[1:]))


def _integer_type(op: Op) -> str | None:
    if op.type == "cast" or op.type in REFUSED:
        return None
    made = op.result.dtype if op.result is not None else None
    dtypes = [made, *(tensor.dtype for name, tensor in op.at_work if name and name not in INDEX_OPERANDS)]
    return next((dtype for dtype in dtypes if dtype in WIDE_INTEGERS), None)


def _integer_cast(op: Op, _: Target) -> str | None:
    source, target = op.dtype("x"), op.result.dtype if op.result is not None else None
    if source in WIDE_INTEGERS or target in WIDE_INTEGERS or target == "int8":
        return f"cast from {source or 'an unknown type'} to {target or 'an unknown type'}"
    return None


def _integer_inputs(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    for item in function.inputs:
        tensor = as_tensor(item.type)
        if tensor is None or tensor.dtype not in WIDE_INTEGERS:
            continue
        users = function.uses.get(item.name, [])
        working = [user for user in users if not _looks_up(user, item.name)]
        if working:
            kinds = listed(dict.fromkeys(user.type for user in working))
            yield Hit(f"input {item.name} ({tensor.dtype}) feeds {kinds}, not a lookup alone", working[0])


def _looks_up(op: Op, name: str) -> bool:
    """Whether a value is the index of a lookup in a constant table, at most cast to 16 bits before."""
    if op.type == "cast" and op.result is not None and op.result.dtype in ("int16", "uint16"):
        made = op.results[0].name
        return bool(op.users()) and all(user.type != "cast" and _looks_up(user, made) for user in op.users())
    indices = op.bindings("indices")
    indexed = bool(indices) and getattr(indices[0], "name", None) == name
    return op.type in LOOKUPS and indexed and op.is_constant("x")


def _integer_outputs(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    told = set()
    for item in function.outputs:
        op = function.made.get(item.name)
        tensor = as_tensor(item.type)
        source = _source(op)
        wide = tensor is not None and tensor.dtype in WIDE_INTEGERS
        if source is None or source in told or not (wide or source.type in ARGUMENT_OPS):
            continue
        told.add(source)
        what = tensor.dtype if tensor is not None and wide else f"what {source.type} makes of int32"
        yield Hit(f"output {item.name} is {what}: its ops end the program on the CPU", source)


def _source(op: Op | None) -> Op | None:
    """The op that computes what an output shows, casts and changes of shape looked through."""
    for _ in range(STEPS):
        if op is None or op.type not in PASSED_THROUGH:
            return op
        before = op.producer("x")
        if before is None:
            return op
        op = before
    return op


def _logical(op: Op, _: Target) -> str:
    return f"{op.type} on bool tensors"


def _index_type(op: Op, _: Target) -> str | None:
    shape = op.shape("x")
    if shape is None:
        return None
    place = axis(op, -1 if op.type == "topk" else 0)
    if op.type != "gather_nd":
        shape = shape[place : place + 1] if place is not None and place >= 0 else ()
    extent = max((-1 if extent is None else extent for extent in shape), default=-1)
    if None in shape or not 0 <= extent <= INT16_MOST or not _is_wide(op):
        return None
    return f"{op.type} has int32 indices into an extent of {extent}: 16 bits hold them"


def _is_wide(op: Op) -> bool:
    """Whether an op's indices are int32: those it takes, or the second result of topk."""
    if op.type == "topk":
        second = as_tensor(op.results[1].type) if len(op.results) > 1 else None
        return second is not None and second.dtype == "int32"
    return op.dtype("indices") == "int32"


RULES = RuleFamily(
    name="element-types",
    title="Element types",
    rules=(
        *FP32,
        FunctionRule(
            code="ANE-DT-004",
            name="int32-op",
            summary="ops work on int32 tensors",
            severity=Severity.ERROR,
            effect=Effect.OFF,
            evidence="B",
            confidence="H",
            why="""
                Of every op with an int32 tensor the compiler lists CPU backends alone (M4, macOS 27.0.1). Constants and
                indices of a lookup don't count here.
            """,
            fix="Do arithmetic on indices in the app, or in fp16, which is exact for whole numbers up to 2048.",
            source="751K coreml_dispatch.md sections 0.4 and 3.1",
            find=_integers,
            fires="""
                n: int32[1, 64]
                y: int32[1, 64] = add(x=n, y=1)
                return y
            """,
            silent="""
                n: int32[1, 64]
                y: fp16[1, 64, 32] = gather(x=fp16[100, 32], indices=n, axis=0)
                return y
            """,
        ),
        OpRule(
            code="ANE-DT-005",
            name="int-cast",
            summary="a cast from or to int32, or to int8",
            severity=Severity.ERROR,
            effect=Effect.OFF,
            evidence="BC",
            confidence="H",
            ops=("cast",),
            why="""
                Through Core ML on an M4 such casts list no engine; on the direct path a cast to int32 is refused on an
                M1 and fails on an M5.
            """,
            fix="Keep whole numbers out of the program: take fp16 inputs, return fp16 scores.",
            source="751K coreml_dispatch.md section 3.1; ane-guide part 5, 17; ANEForge sweep; ironmill op matrix",
            find=_integer_cast,
            fires="""
                n: int32[1, 64]
                y: fp16[1, 64] = cast(x=n, dtype="fp16")
                return y
            """,
            silent="""
                x: fp32[1, 64]
                y: fp16[1, 64] = cast(x=x, dtype="fp16")
                return y
            """,
        ),
        FunctionRule(
            code="ANE-DT-006",
            name="int32-input",
            summary="an int32 input feeds more than a lookup",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="AB",
            confidence="M",
            why="""
                The casts, comparisons and selections on it run on the CPU and open the program with a CPU segment (M4).
                Token ids straight into the embedding are the accepted case: 4 of the 606 ops of Apple's DistilBERT.
            """,
            fix="Look the embedding up in the app, or accept one CPU segment at the start.",
            source="751K coreml_dispatch.md section 3.1; apple/ml-ane-transformers README; coremltools #2365",
            find=_integer_inputs,
            fires="""
                ids: int32[1, 64]
                a: bool[1, 64] = greater_equal(x=ids, y=0)
                b: int32[1, 64] = add(x=ids, y=100)
                c: int32[1, 64] = select(cond=a, a=ids, b=b)
                y: fp16[1, 64, 32] = gather(x=fp16[100, 32], indices=c, axis=0)
                return y
            """,
            silent="""
                ids: int32[1, 64]
                y: fp16[1, 64, 32] = gather(x=fp16[100, 32], indices=ids, axis=0)
                return y
            """,
        ),
        FunctionRule(
            code="ANE-DT-007",
            name="int32-output",
            summary="the program ends on int32, or on the place of a maximum",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="B",
            confidence="M",
            why="""
                An int32 op between engine ops costs two changes of backend, 0.25 ms, or takes its whole segment to the
                CPU (M4). The maximum of 200,000 scores takes 0.25 to 0.27 ms in the app (M4 Max).
            """,
            fix="Return the scores in fp16 and look for the maximum in the app.",
            source="751K coreml_dispatch.md section 2.3; ane-book journal 048",
            find=_integer_outputs,
            fires="""
                x: fp16[1, 64, 1, 64]
                y: int32[1, 1, 64] = reduce_argmax(x=x, axis=1, keep_dims=False)
                return y
            """,
            silent="""
                x: fp16[1, 64, 1, 64]
                y: fp16[1, 1, 64] = reduce_max(x=x, axes=[1], keep_dims=False)
                return y
            """,
        ),
        OpRule(
            code="ANE-DT-008",
            name="logical-op",
            summary="logical_and, logical_or or logical_xor",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="BC",
            confidence="L",
            ops=("logical_and", "logical_or", "logical_xor"),
            sides=Sides(
                stays="751K: logical_and lists the engine through Core ML (M4, macOS 27.0.1)",
                leaves="ane-guide: no way on any family; ANEForge: fails on an M5; ironmill: refused (the direct path)",
            ),
            why="Sources disagree, and of logical_or and logical_xor there is no measurement through Core ML.",
            fix="Keep masks in fp16: mul or minimum for and, maximum for or, not_equal for xor.",
            source="751K coreml_dispatch.md section 3.2; ane-guide appendix A; ANEForge sweep",
            find=_logical,
            fires="""
                a: fp16[1, 64]
                b: bool[1, 64] = greater(x=a, y=0.5)
                c: bool[1, 64] = less(x=a, y=0.9)
                y: bool[1, 64] = logical_and(x=b, y=c)
                return y
            """,
            silent="""
                a: fp16[1, 64]
                b: bool[1, 64] = greater(x=a, y=0.5)
                y: bool[1, 64] = logical_not(x=b)
                return y
            """,
        ),
        OpRule(
            code="ANE-DT-009",
            name="wide-indices",
            summary="int32 indices where 16 bits would do",
            severity=Severity.INFO,
            evidence="A",
            confidence="M",
            ops=(*LOOKUPS, "topk"),
            why="""
                The pass add_int16_cast of coremltools prefers 16 bits here, and Apple lists int16 among the engine's
                types. The pass leaves runtime indices into more than 32767 entries alone. Of squeeze, the fifth op of
                that pass, the range of values isn't in the file.
            """,
            fix="Convert for iOS 17 or newer, so that the pass runs; split a table of more than 32767 rows.",
            source="coremltools passes/defs/quantization.py:557-641; Apple neural_engine_rules.md:8",
            find=_index_type,
            fires="""
                n: int32[1, 64]
                y: fp16[1, 64, 4] = gather(x=fp16[32767, 4], indices=n, axis=0)
                return y
            """,
            silent="""
                n: int32[1, 64]
                y: fp16[1, 64, 4] = gather(x=fp16[32768, 4], indices=n, axis=0)
                return y
            """,
        ),
    ),
)
