"""The modules beside an emitted one, and the names that it may import from each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

RUNTIME = Path(__file__).with_name("runtime")
HOMES: dict[str, frozenset[str]] = {
    "associations": frozenset({"associations"}),
    "attention": frozenset({"attention", "relative_attention"}),
    "functional": frozenset({"batch_norm", "conv1d", "conv2d", "fake_quantize", "gru", "linear", "lstm", "unpacked"}),
    "layers": frozenset({"Conv1d", "Conv2d", "GRU", "LSTM"}),
    "selective_scan": frozenset({"selective_scan"}),
    "ssd": frozenset({"ssd"}),
}
IMPORTED = frozenset({"NamedTuple", "mx", "nn"}).union(*HOMES.values())
NEEDS = {"layers": {"functional"}, "selective_scan": {"selective_scan_metal"}}


def import_lines(used: frozenset[str]) -> Iterator[str]:
    """`from .layers import Conv1d, Conv2d`, in the order that isort gives."""
    for home, offered in HOMES.items():
        if used & offered:
            names = sorted(used & offered, key=lambda name: (not name.isupper(), name[0].islower(), name))
            yield f"from .{home} import {', '.join(names)}"


def siblings(used: Iterable[str]) -> frozenset[str]:
    """The modules that these names come from, and those that they import in turn."""
    found = {home for home, offered in HOMES.items() if offered & set(used)}
    return frozenset(found.union(*(NEEDS.get(home, set()) for home in found)))
