"""What can still be said of a model that is no ML program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mctc.diagnostics.clean import clean
from mctc.linter.coreml.formats.words import counted, shortened
from mctc.package.model import ForeignModel

SHOWN = 12
RECURRENT = ("uniDirectionalLSTM", "biDirectionalLSTM", "gru", "simpleRecurrent")
BROADCASTING = ("ND", "Broadcastable")
LONGEST = 120


def describe(model: ForeignModel) -> Iterator[str]:
    """A few lines: kind, version, layers by type, and what rules say of such models (ANE-GR-006, ANE-OP-001)."""
    version = f", specification version {model.spec_version}" if model.spec_version else ""
    yield f"{clean(model.kind)}{version}"
    if model.members:
        yield f"a pipeline of {', '.join(f'{_short(each.member)} ({_kind(each)})' for each in model.members)}"
    counts = Counter(kind for _, kind in model.layers)
    if counts:
        listed = ", ".join(f"{count} {_short(kind)}" for kind, count in counts.most_common(SHOWN))
        more = f" and {len(counts) - SHOWN} kinds more" if len(counts) > SHOWN else ""
        yield f"{counted(len(model.layers), 'layer')}: {listed}{more}"
    recurrent = [kind for kind in counts if kind in RECURRENT]
    if recurrent:
        yield f"{', '.join(recurrent)}: recurrent layers never run on the Neural Engine (ANE-OP-001)"
    old = [kind for kind in counts if any(mark in kind for mark in BROADCASTING)]
    if old:
        named = ", ".join(map(_short, old[:SHOWN]))
        yield f"{named}: layers of this kind were seen off the Neural Engine (ANE-GR-006, from 2020)"


def _kind(member: object) -> str:
    return clean(member.kind) if isinstance(member, ForeignModel) else "mlProgram"


def _short(name: str) -> str:
    return shortened(clean(name), LONGEST)
