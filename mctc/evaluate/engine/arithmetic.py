"""The arithmetics that a Core ML program can be executed in, and how they are called.

`fp32`, `fp16`, or `engine[:FAMILY[:UNKNOWN]]`, such as `engine`, `engine:h16` or `engine:h18:low`. FAMILY is a compiler
family of the Neural Engine. UNKNOWN says which end of their range those table values take that nobody has published.
Each may be followed by known faults of a runtime (docs/faults.md): `fp16+softplus-cliff+mod-sign`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.near import did_you_mean, listing
from mctc.records import dataclass

Kind = Literal["fp32", "fp16", "engine"]
Unknown = Literal["low", "mid", "high"]
KINDS: tuple[Kind, ...] = get_args(Kind)
UNKNOWNS: tuple[Unknown, ...] = get_args(Unknown)


@dataclass(frozen=True)
class EngineFamily:
    """What is known of a family's arithmetic. tables: whether its activations were read as tables."""

    name: str
    chips: tuple[str, ...]
    tables: bool
    source: str


FAMILIES = {
    row.name: row
    for row in (
        EngineFamily("h16", ("m4", "a17"), False, "sums, bias, rounding, elementwise: an M4; activations: not read"),
        EngineFamily(
            "h17", ("m5", "a18"), False, "between two families that are measured alike; activations: not read"
        ),
        EngineFamily("h18", ("a19",), True, "measured on M6 (h18g)"),
        EngineFamily("h18g", ("m6",), True, "measured on M6"),
    )
}
"""Families whose sums are published: 751K, notes/numerics.md, M4 and M6 equal."""

CONTESTED = {"h13": ("m1", "a14"), "h14": ("m2", "a15"), "h15": ("m3", "a16")}
"""Families, and their chips, for which sources disagree: ane-guide saw ties go to even on an M1 and an older paper
saturation at 32768, where M4 and M6 do neither; nobody has settled which of these families do what."""
DEFAULT = "h18"


@dataclass(frozen=True)
class Arithmetic:
    """kind: what every op computes in, or `engine`: ops that are placed on the engine in its arithmetic, others in
    fp16. family, unknown: of the engine's. faults: names of miscompiles that are executed besides."""

    kind: Kind
    family: str = DEFAULT
    unknown: Unknown = "mid"
    faults: tuple[str, ...] = ()

    @property
    def stored(self) -> Literal["fp32", "fp16"]:
        """What a value that the program declares fp16 is held in."""
        return "fp32" if self.kind == "fp32" else "fp16"

    @property
    def tables(self) -> bool:
        return FAMILIES[self.family].tables

    def __str__(self) -> str:
        faults = "".join(f"+{name}" for name in self.faults)
        if self.kind != "engine":
            return self.kind + faults
        return f"engine:{self.family}" + (f":{self.unknown}" if self.unknown != "mid" else "") + faults


def arithmetic(text: str) -> Arithmetic:
    """The arithmetic of a name. Raises UsageError for an unknown one, and for a family that is contested."""
    text, *faults = text.split("+")
    if faults:
        from mctc.evaluate.faults.table import faults_of

        names = tuple(fault.name for each in faults for fault in faults_of(each))
        return replace(arithmetic(text), faults=names)
    kind, *rest = text.strip().lower().split(":")
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f"{listing(KINDS)}, engine:h16, engine:h18:low, ..."
        raise UsageError(f"there is no arithmetic `{text}`", hint=hint)
    if len(rest) > 2 or (rest and kind != "engine"):
        raise UsageError(f"there is no arithmetic `{text}`", hint="fp32, fp16 or engine[:FAMILY[:UNKNOWN]]")
    unknown = rest[1] if len(rest) > 1 else "mid"
    if unknown not in UNKNOWNS:
        raise UsageError(f"unknown table values are {listing(UNKNOWNS)}, not `{unknown}`")
    family = _family((rest[0] if rest else "") or DEFAULT)
    return Arithmetic(kind, family, next(each for each in UNKNOWNS if each == unknown))


def _family(name: str) -> str:
    """The name, if that of a family whose arithmetic is published. Raises UsageError."""
    if name in FAMILIES:
        return name
    contested = next((family for family, chips in CONTESTED.items() if name in (family, *chips)), None)
    if contested is not None:
        told = "sources disagree about how it rounds and overflows"
        hint = f"{listing(FAMILIES)} are published; docs/engine-arithmetic.md"
        raise UsageError(f"the arithmetic of the engine of {contested} is contested: {told}", hint=hint)
    of_chip = next((each.name for each in FAMILIES.values() if name in each.chips), None)
    hint = f"`engine:{of_chip}` is that chip's" if of_chip else f"known are {listing(FAMILIES)}"
    raise UsageError(f"there is no engine family `{name}`", hint=hint)
