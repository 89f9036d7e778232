"""Ops that have no way to the Neural Engine because of what is only known at run time: shapes, indices, places,
branches, random numbers (ANE-OP)."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.rule import OF_FORM, Effect, FunctionRule, Hit, OpRule, Severity, listed
from mctc.linter.coreml.rules.runtime_indices import GATHER, GATHER_LISTED, GATHER_ND, SLICE
from mctc.linter.coreml.sources import DISPATCH, FOUR, GUIDE, PROBE, SWEEP
from mctc.linter.coreml.target import Target
from mctc.package import Reference


def never(op: Op, _: Target) -> str:
    return f"{op.type} never runs on the Neural Engine"


def _shapes(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    """One finding for each shape that is taken, with the arithmetic on it and the reshapes by what comes of it."""
    sizes = _sizes(function)
    following: dict[Op, list[Op]] = {}
    for op, root in sizes.items():
        following.setdefault(root, [])
        if op is not root:
            following[root].append(op)
    for op in function.of_type("reshape", "reshape_like"):
        if op.is_constant("shape") and op.type == "reshape":
            continue
        maker = op.producer("shape")
        first = sizes.get(maker) if maker is not None else None
        if first is None:
            what = "reshape to a shape that is only known at run time"
            yield Hit(what if op.type == "reshape" else f"{op.type} works out a shape at run time", op)
        elif op not in sizes:
            following[first].append(op)
    for root, ops in following.items():
        kinds = listed(dict.fromkeys(op.type for op in ops))
        yield Hit(f"a shape is worked out at run time{f', and used by {kinds}' if ops else ''}", root, also=tuple(ops))


def _control_flow(function: FunctionGraph, _: Target) -> Iterator[Hit]:
    """One finding for each branch or loop with all that is inside, and the lists that it fills."""
    groups: dict[Op, list[Op]] = {op: [] for op in function.of_type(*BRANCHING) if op.inside is None}
    left = {op for op in function.ops if op.type in LISTS or op.inside is not None}
    for op in function.ops:
        outer = op
        while outer.inside is not None:
            outer = outer.inside
        if outer is not op and outer in groups:
            groups[outer].append(op)
            left.discard(op)
    for root, group in groups.items():
        reached = [root, *group]
        for op in reached:  # grows while it is walked
            near = [other for other in dict.fromkeys((*op.producers(), *op.users())) if other in left]
            left.difference_update(near)
            reached += near
            group += near
        inside = f" ({len(group)} ops inside and on its lists)" if group else ""
        yield Hit(f"{root.type} never runs on the Neural Engine{inside}", root, also=tuple(group))
    for op in function.ops:
        if op in left and op.type in LISTS:
            yield Hit(f"{op.type} never runs on the Neural Engine", op)


def _sizes(function: FunctionGraph) -> dict[Op, Op]:
    """The ops that take a shape or compute with nothing but shapes and constants, each with the first such op."""
    found: dict[Op, Op] = {}
    for op in function.ops:
        if op.type == "shape":
            found[op] = op
            continue
        if op.operation.blocks or op.result is None or op.result.shape is None or len(op.result.shape) > 1:
            continue  # a size is a number, or a list of them
        names = [binding.name for bindings in op.operation.inputs.values() for binding in bindings
                 if isinstance(binding, Reference) and binding.name not in function.fixed]  # fmt: skip
        makers = [function.made.get(name) for name in names]
        roots = [found[maker] for maker in makers if maker is not None and maker in found]
        if roots and len(roots) == len(names):
            found[op] = roots[0]
    return found


NON_ZERO = OpRule(
    code="ANE-OP-005",
    name="non-zero",
    summary="non_zero never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("non_zero",),
    why="Its length is only known at run time. On an M4 (macOS 27.0.1) it is the CPU's even where a GPU may help.",
    fix="Keep a mask of the full size.",
    source=FOUR,
    find=never,
    fires="""
        x: fp16[1, 256]
        y: int32[_, 2] = non_zero(x=x)
        return y
    """,
    silent="""
        x: fp16[1, 256]
        y: bool[1, 256] = not_equal(x=x, y=0.0)
        return y
    """,
)

RANGE = OpRule(
    code="ANE-OP-013",
    name="range-at-run-time",
    summary="range_1d with an end that is only known at run time never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="M",
    ops=("range_1d",),
    why="""
        On an M4 (macOS 27.0.1) it is the CPU's even where a GPU may help. Past Core ML it compiled on an M5.
    """,
    fix="Store 0, 1, 2, ... as a constant and take a slice of it, or take the positions as an input.",
    source=f"{DISPATCH} (section 3.1); {GUIDE} appendix A; {SWEEP}",
    find=never,
    fires="""
        n: int32[1]
        y: int32[_] = range_1d(start=0, end=n, step=1)
        return y
    """,
    silent="""
        n: fp16[1, 1]
        y: fp16[1, 64] = add(x=n, y=fp16[1, 64])
        return y
    """,
)

RANDOM = OpRule(
    code="ANE-OP-014",
    name="random-numbers",
    summary="ops that draw random numbers never run on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("random_normal", "random_uniform", "random_bernoulli", "random_categorical"),
    why="""
        random_normal is the CPU's on an M4 (macOS 27.0.1); all four are absent from another M4's supported set and
        refused on an M5.
    """,
    fix="Take the noise as an input.",
    source=f"{DISPATCH} (section 3.1); {PROBE}; {SWEEP}",
    find=never,
    fires="""
        x: fp16[1, 64]
        n: fp16[1, 64] = random_normal(shape=[1, 64], mean=0.0, stddev=1.0, seed=1)
        y: fp16[1, 64] = add(x=x, y=n)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        n: fp16[1, 64]
        y: fp16[1, 64] = add(x=x, y=n)
        return y
    """,
)

REVERSE_SEQUENCE = OpRule(
    code="ANE-OP-016",
    name="reverse-sequence",
    summary="reverse_sequence never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="H",
    ops=("reverse_sequence",),
    why="Absent from an M4's supported set (macOS 27.0), refused on an M5, no path in ane-guide.",
    fix="Use reverse, which turns the whole axis and is supported; mask what is too long.",
    source=f"{PROBE}; {SWEEP}; {GUIDE} appendix A",
    find=never,
    fires="""
        x: fp16[1, 64, 128]
        n: int32[1]
        y: fp16[1, 64, 128] = reverse_sequence(x=x, lengths=n, seq_axis=2, batch_axis=0)
        return y
    """,
    silent="""
        x: fp16[1, 64, 128]
        y: fp16[1, 64, 128] = reverse(x=x, axes=[2])
        return y
    """,
)

CROP_RESIZE = OpRule(
    code="ANE-OP-017",
    name="crop-resize",
    summary="crop_resize never runs on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=OF_FORM,
    evidence="B",
    confidence="M",
    ops=("crop_resize",),
    why="""
        On an M4 (macOS 27.0.1) it is the CPU's even where a GPU may help. Past Core ML ane-guide gives it to the
        texture engine from H14 on. Other chips were not measured.
    """,
    fix="Use slices at fixed places, or resample from H16 on.",
    source=f"{DISPATCH} (section 3.1); {GUIDE} appendix A; {SWEEP}",
    find=never,
    fires="""
        x: fp16[1, 3, 64, 64]
        r: fp16[8, 1, 5, 1, 1]
        y: fp16[8, 1, 3, 16, 16] = crop_resize(x=x, roi=r, target_height=16, target_width=16)
        return y
    """,
    silent="""
        x: fp16[1, 3, 64, 64]
        y: fp16[1, 3, 16, 16] = slice_by_index(x=x, begin=[0, 0, 8, 8], end=[1, 3, 24, 24])
        return y
    """,
)

BRANCHING = ("cond", "while_loop")
LISTS = frozenset({"make_list", "list_length", "list_write", "list_read", "list_gather", "list_scatter"})
SHAPE = FunctionRule(
    code="ANE-OP-019",
    name="shape-at-run-time",
    summary="shape, reshape_like and reshape to a shape made at run time never run on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=(*OF_FORM, "ANE-DT", "ANE-GA", "ANE-OP-02"),
    evidence="BC",
    confidence="H",
    why="""
        The engine takes graphs of fixed shapes only (ane-guide); shape is absent from an M4's supported set
        (macOS 27.0) and refused on an M5. What is worked out from a shape is int32, so the CPU's as well.
    """,
    fix="Convert with fixed shapes, so that every shape is a constant.",
    source=f"{PROBE}; {SWEEP}; {GUIDE} appendix A",
    find=_shapes,
    fires="""
        x: fp16[1, 64, _]
        s: int32[3] = shape(x=x)
        y: fp16[_, _, _] = reshape(x=x, shape=s)
        return y
    """,
    silent="""
        x: fp16[1, 64, 16]
        y: fp16[1, 64, 4, 4] = reshape(x=x, shape=[1, 64, 4, 4])
        return y
    """,
)

CONTROL_FLOW = FunctionRule(
    code="ANE-OP-021",
    name="control-flow",
    summary="branches, loops and lists never run on the Neural Engine",
    severity=Severity.ERROR,
    effect=Effect.OFF,
    covers=(*OF_FORM, "ANE-OP", "ANE-GA"),
    evidence="BC",
    confidence="H",
    why="""
        Core ML's own message on an M1 says that cond isn't supported there; refused on an M5; ane-guide finds no code
        for them. What is inside goes with them.
    """,
    fix="""
        Of a branch make two functions and choose on the host. A loop can be unrolled where its length is known; one
        that TensorFlow made of a recurrent layer is a layer again when the model is converted with fixed shapes.
    """,
    source=f"smpanaro/more-ane-transformers NOTES.md; {SWEEP}; {GUIDE} appendix A",
    find=_control_flow,
    fires="""
        p: bool
        x: fp16[1, 64]
        y: fp16[1, 64] = cond(pred=p)
        return y
    """,
    silent="""
        p: bool[1, 1]
        x: fp16[1, 64]
        y: fp16[1, 64] = select(cond=p, a=x, b=0.0)
        return y
    """,
)  # fmt: skip


RUNTIME_OPS = (
    NON_ZERO, RANGE, RANDOM, REVERSE_SEQUENCE, CROP_RESIZE, SHAPE, CONTROL_FLOW, GATHER, GATHER_LISTED,
    GATHER_ND, SLICE,
)  # fmt: skip
