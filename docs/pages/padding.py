"""docs/padding.md: what every step takes with its rows padded, before and after the passes that lay it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mctc.driver.compile import compile_program
from mctc.driver.options import BuildOptions
from mctc.hardware.cost import Shaped, bytes_of
from mctc.ir.program import Function
from mctc.language import elaborate_file
from mctc.language.modules import Loader, library_root
from mctc.passes.selective_scan.cost import shaped
from mctc.records import dataclass

WITHOUT = ("fill-rows", "fold-state-reshapes", "frames-first", "hoist-reshape")
BEFORE = BuildOptions(without=WITHOUT, passes={"lower-selective-scan": {"form": "decay"}})
"""The layout as it was first: selective scans over pairs of frames, single frames as columns, states as declared."""

HEAD = f"""# What padding costs

Generated from the specs in `spec/` by `python -m docs.pages padding.md`; do not edit.

The Neural Engine stores rows, the last axis of a tensor, in multiples of 64 bytes: 32 numbers of fp16. A step of eight
frames with time last fills a quarter of each row, a single frame a thirty-second. The table has all values that a call
of each function computes, at the size that the spec has, for the target `ane` on its default device: their number (of
ops, constants and changes of roles apart; a package has two or three more, which read and write states), their bytes in
fp16, and their bytes with every row padded, by the cost model of `mctc/hardware/cost.py`, as `mctc lint` counts them.

*Before* is the same spec with `{" ".join(f"--without {name}" for name in WITHOUT)} --scan decay`:
scans over pairs of frames with time last, single frames as columns, states in the shape that their ops declare. What
[the passes](passes.md) do unconditionally is in both: frames of a recurrent cell are cut as full rows, heads of `ssd`
and of attention lie as `lower-selective-scan` and `lower-attention` put them.

*Most of it* are the three kinds of value that take the most padded bytes now, by op and shape.

| model | function | ops, before | ops | MB, before | MB | padded, before | padded | times | most of it, padded MB |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |
"""
TAIL = """
* **Functions that take whole utterances** (a latency with `(all)` in [architectures.md](architectures.md)) have long
  rows, which are full. What they have instead is scores of attention, and scans frame after frame.
* **Convolutions of a single frame** are what is left of recurrent cells and of decoders that take one label: a 1x1
  convolution makes a column, [1, C, 1, 1], and only what comes behind it can be turned.
* **Caches of attention** lie with time last, hundreds of frames: their rows are full. They move whole once a call,
  which is why they lead where they are there.
"""
MB = 1e6


@dataclass(frozen=True)
class Padding:
    """What one function computes in a call: ops, bytes in fp16 as they are and padded, and padded bytes by kind."""

    ops: int
    raw: int
    padded: int
    kinds: tuple[tuple[str, int], ...]

    @staticmethod
    def of(ops: Iterable[Shaped]) -> Padding:
        kinds = Counter[str]()
        made = list(ops)
        for op in made:
            for shape in op.results:
                kinds[f"{op.type} {'x'.join(map(str, shape))}"] += bytes_of(shape, padded=True)
        raw = sum(bytes_of(shape, padded=False) for op in made for shape in op.results)
        return Padding(len(made), raw, sum(kinds.values()), tuple(kinds.most_common(3)))

    @property
    def most(self) -> str:
        return ", ".join(f"{kind}: {_mb(size)}" for kind, size in self.kinds)


def page() -> str:
    """The text of docs/padding.md; minutes, for every spec is compiled twice at its full size."""
    rows = [row for path in sorted(library_root().glob("*.mct")) for row in lines(path)]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + TAIL


def lines(path: Path) -> Iterator[list[str]]:
    """The cells of every function of every model of a spec. Raises MctcError."""
    module = Loader().load(path)
    for model in module.models() if module else ():
        name = model.node.name.text
        before, now = (functions(path, name, options) for options in (BEFORE, BuildOptions()))
        for function, found in now.items():
            yield [f"[{name}](../spec/{path.name})", function, *_figures(before[function], found), found.most]


def functions(path: Path, model: str, options: BuildOptions) -> Mapping[str, Padding]:
    """What each step function computes after the deploy passes. Raises MctcError."""
    deployed = compile_program(elaborate_file(path, model=model, defines={}), options).deployed
    return {name: padding(function) for name, function in deployed.functions.items()}


def padding(function: Function) -> Padding:
    return Padding.of(shaped(function.ops, set()))


def _figures(before: Padding, now: Padding) -> list[str]:
    """Both of each figure, and how many times as much it was."""
    bytes_ = (_mb(size) for size in (before.raw, now.raw, before.padded, now.padded))
    return [f"{before.ops:,}", f"{now.ops:,}", *bytes_, f"{before.padded / now.padded:.2f}"]


def _mb(size: int) -> str:
    """Three digits, or all before the point."""
    number = size / MB
    return f"{number:.{3 if number < 0.0995 else 2 if number < 9.995 else 1 if number < 99.95 else 0}f}"
