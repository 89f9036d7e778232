"""What the inputs of a decoder are given for labels and frames that stand in a row (docs/manifest.md: `given`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mctc.decode.frames import Floats
from mctc.driver.options import BuildError
from mctc.ir.op import Array
from mctc.ir.types import Role
from mctc.runtime.arrays import read_npy
from mctc.runtime.built import BuiltFunction, BuiltPort
from mctc.runtime.encoder import to_port
from mctc.streaming.context import VALID

POSITION = "position"  # an input that tells how many labels were before; any other one over labels tells the label

Item = int | Floats
"""What stands at a place: a label, or a frame [width] of the encoder's."""


class LabelInputs:
    """The inputs of a function over labels.

    tables: rows [entries, width] for inputs with channels, by the input's name: the row of the label, or of its place
    for an input called `position`. Raises BuildError for a table that is missing, or of another width.
    """

    def __init__(self, decoder: BuiltFunction, tables: Mapping[str, Array]) -> None:
        self.tables = tables
        self._rows = {port.spec: read_npy(port.row_of) for port in decoder.inputs if port.row_of is not None}
        _check_tables(decoder, tables)

    def given(self, port: BuiltPort, items: Sequence[Item], before: int, heard: Mapping[str, Array]) -> Array:
        """One input of a call for `items`, behind `before` others. heard: what inputs over time are given."""
        if port.spec in heard:
            return heard[port.spec]
        if port.spec == VALID:
            return np.ones(port.type.shape, np.float32)
        is_token = [not isinstance(item, np.ndarray) for item in items]
        if port.given == "is_token":
            return np.asarray(is_token, np.float32).reshape(port.type.shape)
        if port.given in ("frame", "row"):
            return to_port(self._frames(port, items), port)
        labels = [0 if isinstance(item, np.ndarray) else item for item in items]  # at a frame the label means nothing
        numbers = [before + at for at in range(len(items))] if port.spec == POSITION else labels
        if port.spec in self.tables:
            return to_port(np.asarray(self.tables[port.spec][numbers], np.float32), port)
        return port.ids(numbers)

    def _frames(self, port: BuiltPort, items: Sequence[Item]) -> Floats:
        """Frames [items, width] at their places; where labels stand, their rows, or zeros."""
        rows, width = self._rows.get(port.spec), port.type.shape[port.type.roles.index(Role.CHANNEL)]
        nothing = np.zeros(width, np.float32)

        def row(item: Item) -> Floats:
            if isinstance(item, np.ndarray):
                return item
            return nothing if rows is None else np.asarray(rows[item], np.float32)

        return np.stack([row(item) for item in items])


def _check_tables(decoder: BuiltFunction, tables: Mapping[str, Array]) -> None:
    ports = [port for port in decoder.streaming(decoder.inputs, Role.LABEL) if port.given not in ("frame", "row")]
    taken = {port.spec for port in ports if port.type.find(Role.CHANNEL) is not None and port.table is None}
    for name in tables.keys() - taken:
        raise BuildError(f"the decoder takes no rows for {name}", hint=f"leave --table {name}=... out")
    for port in ports:
        at = port.type.find(Role.CHANNEL)
        if at is None or port.spec not in taken:
            continue
        width, table = port.type.shape[at], tables.get(port.spec)
        if table is None:
            hint = f"--table {port.spec}=FILE.npy, or --table {port.spec}=WEIGHTS.safetensors:NAME"
            raise BuildError(f"the decoder takes {port.spec} as a row of {width} numbers, not as an id", hint=hint)
        if table.ndim != 2 or table.shape[1] != width:
            raise BuildError(f"the table for {port.spec} is {list(table.shape)}; its rows have {width} numbers")
