"""What can still be said of a model that is no ML program."""

from __future__ import annotations

from collections import Counter

from mctc.lint.coreml.formats.words import clean, counted, shortened
from mctc.package.model import ForeignModel

SHOWN = 12
RECURRENT = ("uniDirectionalLSTM", "biDirectionalLSTM", "gru", "simpleRecurrent")
BROADCASTING = ("ND", "Broadcastable")
LONGEST = 120


def describe(model: ForeignModel) -> str:
    """A few lines: kind, version, layers by type, and what rules say of such models (ANE-GR-006, ANE-OP-001)."""
    lines = [f"  {clean(model.kind)}, specification version {model.spec_version}"]
    if model.members:
        lines.append(f"  a pipeline of {', '.join(map(clean, model.members))}: check its members one by one")
    counts = Counter(kind for _, kind in model.layers)
    if counts:
        listed = ", ".join(f"{count} {_short(kind)}" for kind, count in counts.most_common(SHOWN))
        more = f" and {len(counts) - SHOWN} kinds more" if len(counts) > SHOWN else ""
        lines.append(f"  {counted(len(model.layers), 'layer')}: {listed}{more}")
    recurrent = [kind for kind in counts if kind in RECURRENT]
    if recurrent:
        lines.append(f"  {', '.join(recurrent)}: recurrent layers never run on the Neural Engine (ANE-OP-001)")
    old = [kind for kind in counts if any(mark in kind for mark in BROADCASTING)]
    if old:
        named = ", ".join(map(_short, old[:SHOWN]))
        lines.append(f"  {named}: layers of this kind were seen off the Neural Engine (ANE-GR-006, from 2020)")
    return "\n".join(lines)


def _short(name: str) -> str:
    return shortened(clean(name), LONGEST)
