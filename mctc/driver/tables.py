"""Tables of the lookups that are left to the caller of an artifact (mctc.ir.lookups): files, and rows by ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mctc.ir.lookups import Lookup, lookups, wide_rows
from mctc.ir.op import Array
from mctc.ir.ops.linear import looked_up
from mctc.ir.program import Function, Program, Value
from mctc.ir.recipes import leaves
from mctc.ir.types import Role

if TYPE_CHECKING:
    from mctc.weights import Weights

FOLDER = "tables"
LONGEST = 200  # characters of a file's name before its suffix


def file_of(lookup: Lookup) -> str:
    """Where the table lies in the folder of a build."""
    return file_named(lookup.table)


def file_named(name: str) -> str:
    """Where the table of a parameter lies; a long path of names is cut, and told apart by its hash."""
    if len(name) > LONGEST:
        name = f"{name[:LONGEST]}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"{FOLDER}/{name}.npy"


def files(function: Function) -> dict[Value, str]:
    """Where the tables lie, by the rows that an artifact takes of them."""
    return {lookup.rows: file_of(lookup) for lookup in lookups(function).values()}


def write_tables(program: Program, weights: Weights, folder: Path) -> None:
    """Writes every table once, as the weights deploy it: an array [ids, width] at `file_of` it in `folder`, in fp16, or
    in fp32 where the spec has it stored so."""
    functions = program.functions.values()
    found = {each.table: (each, token) for f in functions for token, each in lookups(f).items()}
    wide = frozenset[Value]().union(*(wide_rows(program, f) for f in functions))
    for lookup, token in found.values():
        bound = token.type.bound
        ids = bound.value if bound is not None and bound.is_static else None  # the rows behind pad the table
        (folder / FOLDER).mkdir(exist_ok=True)
        table = _table(lookup, lambda parameter: weights.held(program.parameters[parameter]))
        kind = np.float32 if lookup.rows in wide else np.float16
        np.save(folder / file_of(lookup), table[:ids].astype(kind, copy=False))
        weights.release()


def asked_again(program: Program, rows: str | None) -> set[str]:
    """The sources that a build asks for more than once, far apart: `rows`, whose rows a decoder takes, and those of
    which several parameters hold every number."""
    holders: dict[str, int] = {}
    for parameter in program.parameters.values():
        for source in set(leaves(parameter.recipe)):
            if parameter.type.size >= source.type.size:
                holders[source.name] = holders.get(source.name, 0) + 1
    return {name for name, count in holders.items() if count > 1} | ({rows} if rows is not None else set())


def given_rows(function: Function, inputs: Mapping[str, Array], value: Callable[[str], Array]) -> dict[str, Array]:
    """The inputs of `device_inputs` for those of the program. `value` gives the array of a parameter by its name."""
    rows = {
        token.name: looked_up(_table(lookup, value), inputs[token.name], token.type.roles.index(Role.UNIT))
        for token, lookup in lookups(function).items()
    }
    return {**inputs, **rows}


def _table(lookup: Lookup, value: Callable[[str], Array]) -> Array:
    return value(lookup.table) if lookup.constant is None else lookup.constant
