"""What several formats say of a neural network alike: its layers by type, and what can't be told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from mctc.linter.coreml.formats.words import counted, scaled
from mctc.linter.coreml.report import Finding, NetworkReport
from mctc.records import dataclass

NO_PLACEMENT = (
    "Nobody has published where Core ML runs layers of neural networks or what they cost there, so no placement is "
    "predicted; remarks are as old as their sources. MLComputePlan on a Mac names the device of every layer."
)
CONVERT = "ANE-GR-006"
"""The rule that says how to make an ML program of a neural network."""
SHOWN, SIZES = 4, 8


@dataclass(frozen=True)
class TypeRow:
    """The layers of one type. macs: of those for which they are known. uncounted: how many are left."""

    type: str
    count: int
    parameters: int
    macs: int
    uncounted: int

    @property
    def macs_text(self) -> str:
        """'1.23 M', 'not known', or '1.23 M, 2 not known'; empty for nothing."""
        parts = [scaled(self.macs)] if self.macs else []
        if self.uncounted:
            parts.append("not known" if self.uncounted == self.count else f"{self.uncounted} not known")
        return ", ".join(parts)


def by_type(network: NetworkReport) -> list[TypeRow]:
    """A row for each type of layer, the most work first, then the most parameters."""
    rows = [
        TypeRow(
            type_,
            count,
            sum(layer.parameters for layer in network.layers if layer.type == type_),
            sum(layer.macs or 0 for layer in network.layers if layer.type == type_),
            sum(layer.macs is None for layer in network.layers if layer.type == type_),
        )
        for type_, count in Counter(layer.type for layer in network.layers).items()
    ]
    return sorted(rows, key=lambda row: (-row.macs, -row.parameters, -row.count, row.type))


def in_numbers(network: NetworkReport) -> str:
    """'218 layers, 2.10 M parameters, 8.83 G multiply-accumulates'."""
    least = "at least " if network.uncounted else ""
    layers, parameters = counted(len(network.layers), "layer"), scaled(network.parameters)
    return f"{layers}, {parameters} parameters, {least}{scaled(network.macs)} multiply-accumulates"


def at_sizes(network: NetworkReport) -> Iterator[str]:
    """What the network multiplies at each size of its inputs, where these can have several."""
    for row in network.sizes[:SIZES]:
        least = "at least " if row.uncounted else ""
        yield f"at {row.label}: {least}{scaled(row.macs)} multiply-accumulates"
    if len(network.sizes) > SIZES:
        yield f"and {len(network.sizes) - SIZES} sizes more"
    if network.unjudged:
        yield f"{counted(network.unjudged, 'listed size')} not judged"


def not_told(network: NetworkReport) -> Iterator[str]:
    """Sentences about what isn't known of the network; nothing where all is."""
    if network.unshaped:
        types = Counter(layer.type for layer in network.unshaped)
        listed = ", ".join(f"{count} {type_}" for type_, count in types.most_common(SHOWN))
        more = f" and {len(types) - SHOWN} types more" if len(types) > SHOWN else ""
        yield f"Shapes can't be told of {counted(len(network.unshaped), 'layer')}: {listed}{more}."
    if network.uncounted:
        yield f"What {counted(len(network.uncounted), 'layer')} multiply is in no count."
    if any(layer.type in ("loop", "branch") for layer in network.layers):
        yield "Layers inside loops and branches are counted once."


def to_convert(findings: Iterable[Finding]) -> Iterator[str]:
    """How to make an ML program of it, once, where that rule is shown."""
    for finding in findings:
        if finding.rule.code == CONVERT:
            yield f"To convert: {' '.join(finding.rule.fix.split())}"
            return
