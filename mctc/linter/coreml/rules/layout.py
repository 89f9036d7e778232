"""Rank and dimensions (ANE-SH), with the layout in memory (ANE-LY) of layout_memory.

Only tensors that exist while the program runs are looked at. Height and width are the last two axes; where a tensor has
fewer than four, the second to last may be channels, so only the last is looked at. Channels are axis 1 of four or more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from mctc.hardware.families import FAMILIES, since, up_to
from mctc.linter.coreml.graph import FunctionGraph, Op, Shape
from mctc.linter.coreml.rule import Effect, FunctionRule, Hit, OpRule, RuleFamily, Severity, Sides
from mctc.linter.coreml.rules.layout_memory import MEMORY
from mctc.linter.coreml.rules.layout_transposes import TRANSPOSES
from mctc.linter.coreml.target import Scope, Target
from mctc.linter.coreml.trace import connected

EARLY_EXTENT = FAMILIES["H15"].extent
NCHW = 4
CHANNELS = 1


@lru_cache(maxsize=4096)  # a program of thousands of ops has a few dozen shapes
def _spatial(shape: Shape | None) -> int:
    """The larger of height and width; 0 where the file doesn't say."""
    places = (shape or ())[-2:] if len(shape or ()) >= NCHW else (shape or ())[-1:]
    return max((extent for extent in places if extent is not None), default=0)


def _channels(shape: Shape | None) -> int:
    return (shape[CHANNELS] or 0) if shape is not None and len(shape) >= NCHW else 0


@lru_cache(maxsize=4096)
def _any_extent(shape: Shape | None) -> int:
    """The largest extent but that of the channels."""
    shape = shape or ()
    places = (extent for place, extent in enumerate(shape) if place != CHANNELS or len(shape) < NCHW)
    return max((extent for extent in places if extent is not None), default=0)


def _limit(target: Target) -> int:
    """What no axis exceeds on any family."""
    return max(target.family.channels, target.family.batch, target.family.extent)


def _rank(op: Op, target: Target) -> str | None:
    most = max((len(tensor.shape or ()) for _, tensor in op.at_work), default=0)
    limit = target.family.rank
    return f"a tensor of rank {most}; the engine takes up to {limit}" if most > limit else None


def _wide(function: FunctionGraph, target: Target) -> Iterator[Hit]:
    limit = target.family.extent
    for most, group in _beyond(function, _spatial, limit):
        yield _too_large(f"height or width of {most}; {target.family.name} takes up to {limit}", group)


def _huge(function: FunctionGraph, target: Target) -> Iterator[Hit]:
    limit = _limit(target)
    for most, group in _beyond(function, _any_extent, limit):
        yield _too_large(f"an extent of {most}; no chip takes more than {limit}", group)


def _beyond(
    function: FunctionGraph, extent: Callable[[Shape | None], int], limit: int
) -> Iterator[tuple[int, list[Op]]]:
    """The ops with an extent beyond a limit, those that pass it on together, and the largest one: one cause."""
    extents = {op: max((extent(tensor.shape) for _, tensor in op.at_work), default=0) for op in function.ops}
    for group in connected([op for op in function.ops if extents[op] > limit]):
        yield max(extents[op] for op in group), group


def _too_large(message: str, group: list[Op]) -> Hit:
    more = f", in {len(group)} connected ops" if len(group) > 1 else ""
    return Hit(f"{message}{more}", group[0], also=tuple(group[1:]))


def _many_channels(op: Op, target: Target) -> str | None:
    most, limit = max((_channels(tensor.shape) for _, tensor in op.at_work), default=0), target.family.channels
    return f"{most} channels, more than {limit}" if most > limit else None


def _wide_for_older(op: Op, target: Target) -> str | None:
    most = max((_spatial(tensor.shape) for _, tensor in op.at_work), default=0)
    if not EARLY_EXTENT < most <= target.family.extent:
        return None
    return f"height or width of {most}: chips before M4 and A17 Pro take up to {EARLY_EXTENT}"


def _empty(op: Op, _: Target) -> str | None:
    return "a tensor without elements" if any(0 in (tensor.shape or ()) for _, tensor in op.at_work) else None


DIMENSIONS = (
    OpRule(
        code="ANE-SH-001",
        name="rank-over-five",
        summary="a tensor of more than five axes",
        severity=Severity.ERROR,
        effect=Effect.OFF,
        evidence="AB",
        confidence="H",
        why="""
            The engine takes five axes (Apple; five are placed on an M4), and Core ML defines no more. Views of rank 10
            in a patchify step failed on an A18 Pro while a Mac took them. Palettes of rank 6 are constants and not
            meant here.
        """,
        fix="Squeeze axes of one element, and cut images into patches outside of the program.",
        source="Apple neural_engine_rules.md:7; 751K coreml_dispatch.md section 3.1; ane-guide chapter 4; "
        "john-rocky/CoreML-LLM PROBE_GEMMA4_VISION_ANE.md:64",
        find=_rank,
        fires="""
            x: fp16[1, 3, 8, 16, 8, 16]
            y: fp16[1, 3, 8, 16, 8, 16] = relu(x=x)
            return y
        """,
        silent="""
            x: fp16[1, 3, 8, 16, 8]
            y: fp16[1, 3, 8, 16, 8] = relu(x=x)
            return y
        """,
    ),
    FunctionRule(
        code="ANE-SH-002",
        name="wide-tensor",
        summary="height or width over 16384 on an M1 to M3 or A14 to A16",
        severity=Severity.ERROR,
        effect=Effect.OFF,
        evidence="BDE",
        confidence="H",
        scope=Scope(families=up_to("H15")),
        why="""
            An iPhone 13 logs a width of 240000 as out of range, H and W being 1 to 16384; an M2 does of 16414. The
            tables of the compiler say the same of M1 to M3. That iPhones from A14 to A16 share these families is
            inferred.
        """,
        fix="Cut the axis into tiles, or move it into the channels, of which there may be 65536.",
        source="FluidInference/mobius mel_encoder_ane_behavior.md; FluidAudio #121; executorch #7907; mobius #61; "
        "ane-guide appendix A; 751K hal_analysis.md",
        find=_wide,
        fires="""
            x: fp16[1, 16, 1, 16385]
            y: fp16[1, 16, 1, 16385] = relu(x=x)
            return y
        """,
        silent="""
            x: fp16[1, 16385, 1, 16384]
            y: fp16[1, 16385, 1, 16384] = relu(x=x)
            return y
        """,
    ),
    FunctionRule(
        code="ANE-SH-003",
        name="huge-extent",
        summary="an axis over 65536, other than the channels",
        severity=Severity.ERROR,
        effect=Effect.OFF,
        covers=("ANE-SH-002", "ANE-SH-004"),
        evidence="BD",
        confidence="H",
        why="""
            Through Core ML on an M4, 65536 is taken and 65537 is not; the compiler's tables hold no larger extent for
            any family. Channels of tensors of four and more axes are ANE-SH-003b.
        """,
        fix="Split the axis.",
        source="751K coreml_dispatch.md section 3.3; ane-guide appendix A",
        find=_huge,
        fires="""
            x: fp16[65537, 16, 1, 8]
            y: fp16[65537, 16, 1, 8] = relu(x=x)
            return y
        """,
        silent="""
            x: fp16[65536, 16, 1, 8]
            y: fp16[65536, 16, 1, 8] = relu(x=x)
            return y
        """,
    ),
    OpRule(
        code="ANE-SH-003b",
        name="many-channels",
        summary="more than 65536 channels",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="BDE",
        confidence="L",
        sides=Sides(
            stays="ane-book journals 048 and 073: a head for 200,064 words in three parts, so about 66,700 channels "
            "each, all on the engine by the compute plan (M4 Max); CoreML-LLM: one of 262144 channels is faster than "
            "16 parts (iPhone 17 Pro)",
            leaves="751K: no extent over 65536 on an M4; ane-guide: the tables say 65536 channels for every family",
        ),
        why="A sweep found 65537 refused on an M4; heads of language models that exceed it are reported to run.",
        fix="Split the head into parts of at most 65536 channels, or look at the compute plan.",
        source="751K coreml_dispatch.md section 3.3; ane-guide appendix A; ane-book journals 048, 073; "
        "john-rocky/CoreML-LLM REJECTED_APPROACHES.md",
        find=_many_channels,
        fires="""
            x: fp16[1, 64, 1, 1]
            y: fp16[1, 65537, 1, 1] = conv(x=x, weight=fp16[65537, 64, 1, 1])
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 1]
            y: fp16[1, 65536, 1, 1] = conv(x=x, weight=fp16[65536, 64, 1, 1])
            return y
        """,
    ),
    OpRule(
        code="ANE-SH-004",
        name="wide-for-older-chips",
        summary="height or width that only an M4, an A17 Pro or newer takes",
        severity=Severity.INFO,
        evidence="BD",
        confidence="M",
        scope=Scope(families=since("H16")),
        why="""
            From the M4 on up to 65536 is taken (measured through Core ML, and in the compiler's tables); before it was
            16384, and Anemll and ironmill still keep to that.
        """,
        fix="Keep height and width to 16384 where older devices matter.",
        source="751K coreml_dispatch.md section 3.3; ane-guide 24-hal-gates:29; Anemll agent.md:10; "
        "ironmill validate.rs:18",
        find=_wide_for_older,
        fires="""
            x: fp16[1, 16, 1, 16385]
            y: fp16[1, 16, 1, 16385] = relu(x=x)
            return y
        """,
        silent="""
            x: fp16[1, 16, 1, 16384]
            y: fp16[1, 16, 1, 16384] = relu(x=x)
            return y
        """,
    ),
    *TRANSPOSES,
    OpRule(
        code="ANE-SH-007",
        name="empty-tensor",
        summary="a tensor without elements",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="C",
        confidence="M",
        why="On the direct path of an M1 the compiler refuses a tensor of 0x8 where it expects 1x8.",
        fix="Take empty tensors out of the program, such as the empty past of a cache.",
        source="ane-guide chapter 4",
        find=_empty,
        fires="""
            x: fp16[1, 64, 1, 8]
            p: fp16[1, 64, 1, 0]
            y: fp16[1, 64, 1, 8] = concat(values=[p, x], axis=3)
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 8]
            p: fp16[1, 64, 1, 1]
            y: fp16[1, 64, 1, 9] = concat(values=[p, x], axis=3)
            return y
        """,
    ),
)

RULES = RuleFamily(
    name="layout",
    title="Rank, dimensions and layout",
    rules=(*DIMENSIONS, *MEMORY),
    not_decidable=(
        ("ANE-SH-005", "a batch over 4096 is refused before H13, and mctc knows no chip that old (A14 and M1 are H13)"),
    ),
)
