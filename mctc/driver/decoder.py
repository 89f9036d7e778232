"""What a decoder over labels is given, and what stands around its text, as the training objective says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mctc.driver.objective import objective_of
from mctc.driver.tables import FOLDER, file_named
from mctc.ir.program import Program, Source
from mctc.ir.recipes import leaves
from mctc.objectives.components import FramesAndLabels, Labels, Part
from mctc.objectives.fit import fit
from mctc.objectives.misfit import MisfitError
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.weights import Weights

PARTS = {
    Part.TOKEN: "token",
    Part.HEARD: "heard",
    Part.FRAME: "frame",
    Part.ROW: "row",
    Part.IS_TOKEN: "is_token",
}
"""What a manifest calls the parts that an input of a decoder plays; one that the objective gives nothing has none."""


@dataclass(frozen=True)
class Given:
    """component: the decoder, None where the objective has none. parts: what each of its inputs is given. table: the
    checkpoint's tensor whose rows one of them takes. classes: rows of it that are no padding."""

    component: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    table: str | None = None
    classes: int = 0

    @property
    def file(self) -> str | None:
        """Where the table lies in the folder of a build."""
        return None if self.table is None else file_named(self.table)

    def port(self, component: str, name: str) -> dict[str, str]:
        """What a manifest says of an input of a component."""
        part = self.parts.get(name) if component == self.component else None
        if part is None:
            return {}
        return {"given": part, "row_of": str(self.file)} if part == PARTS[Part.ROW] else {"given": part}


def given(program: Program) -> Given:
    """What the decoder of a program is given: one behind the common passes, or before them."""
    labels = _labels(program)
    if labels is None:
        return Given()
    parts = {name: PARTS[part] for name, part in labels.parts.items() if part in PARTS}
    return Given(labels.decoder.name, parts, labels.table, labels.classes)


def _labels(program: Program) -> Labels | None:
    told = program.train.call("objective")
    try:
        found = None if told is None else fit(program, *told)
    except MisfitError:
        return None
    if isinstance(found, FramesAndLabels):
        return found.labels
    return found if isinstance(found, Labels) else None


def write_rows(found: Given, program: Program, weights: Weights, folder: Path) -> None:
    """Writes the table whose rows the decoder takes: the checkpoint's own, as an array [classes, width] in fp16, or in
    fp32 where the spec has it stored so."""
    if found.table is None or found.file is None or (folder / found.file).exists():
        return
    source = Source(found.table, program.sources[found.table][0])
    wide = any(each.wide and source in leaves(each.recipe) for each in program.parameters.values())
    kind, count = np.float32 if wide else np.float16, min(found.classes, source.type.shape[0])
    (folder / FOLDER).mkdir(exist_ok=True)
    with (folder / found.file).open("wb") as file:
        described = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": (count, *source.type.shape[1:])}
        np.lib.format.write_array_header_1_0(file, described)
        weights.write_rows(source, count, kind, file)


def prompt(program: Program) -> dict[str, Any] | None:
    """The classes around a text: before the frames that stand among labels, behind them, and at its end; where what is
    told of a recording stands, and the class that ends what a text says of itself. None for a program without."""
    told = objective_of(program)
    if told is None or "end" not in told:
        return None
    around = {"begin": list(told["begin"]), "end": told["end"]}
    if "prompt" not in told:
        return around
    return {**around, "before": list(told["prompt"]), "context": told["context"], "heading": told["heading"]}
