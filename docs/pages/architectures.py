"""docs/architectures.md: every spec of the library in a table, counted from its step functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from docs.pages.plot import svg
from mctc.compare.measured import Measured
from mctc.compare.operand import measure_spec
from mctc.compare.rows import FIGURES
from mctc.language.modules import Loader, library_root

PICTURE = "images/architectures.svg"
PREFACE = f"""# Architectures

Generated from the specs in `spec/` by `python -m docs.pages architectures.md`, which counts them as
`mctc compare` does; do not edit.
How one is written and proven: [writing-an-architecture.md](writing-an-architecture.md).

![Latency against multiply-accumulates for a second of audio]({PICTURE})
"""
NOTES = """
* **weights as stored**: of all parameters, in the form that the spec's `quantize` section gives them in a package; with
  the tables that the app looks up, which lie beside it.
* **MACs a second of audio**: multiply-accumulates of the functions over time, each called once a chunk or once an
  utterance of the length that the spec names, for each second of it. Counted are products that are summed, by the
  definitions of the ops: convolutions, projections, attention, scans, recurrent cells. A transducer's joiner is counted
  once a chunk, with one label.
* **MACs a label**: of one call of the functions over labels: a predictor, or a decoder with its longest cache.
  Where a decoder reads the memory frame by frame, a frame is such a call too.
* **states**: how many tensors are carried from call to call, and their bytes in fp16 before they are packed.
* **latency**: algorithmic, the chunk and what is looked ahead beyond it; `(all)` is the utterance's length, for a
  model that needs the whole of it.

Placement on the Neural Engine and padded memory are those of a package: `mctc compare --build SPEC`.
"""


def models(folder: Path | None = None) -> Iterator[Measured]:
    """Every model of the specs in a folder (the library's), in the order of files and of models in them.

    Raises MctcError.
    """
    for path in sorted((folder or library_root()).glob("*.mct")):
        module = Loader().load(path)
        for defined in module.models() if module else ():
            yield measure_spec(path, {}, defined.node.name.text)


@cache
def library() -> tuple[Measured, ...]:
    """Every model of the library, counted once."""
    return tuple(models())


def page() -> str:
    """The text of docs/architectures.md."""
    return text(library())


def picture() -> str:
    """Its picture."""
    return svg(library())


def text(measured: Sequence[Measured]) -> str:
    """A row for each model."""
    lines = [["model", *(label for label, _ in FIGURES)], ["---", *["---:"] * len(FIGURES)], *map(line, measured)]
    return "\n".join([PREFACE, *(f"| {' | '.join(cells)} |" for cells in lines), NOTES.rstrip(), ""])


def line(model: Measured) -> list[str]:
    """The cells of a model."""
    return [f"[{model.model}](../spec/{Path(model.source).name})", *(read(model) for _, read in FIGURES)]
