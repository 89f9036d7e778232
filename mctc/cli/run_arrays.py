"""`mctc run PACKAGE --input`: one function of a package over arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mctc.diagnostics.clean import clean
from mctc.diagnostics.errors import ExitCode

SHOWN_LABELS = 5
"""Of a classifier, the likeliest labels."""


def run_over_arrays(
    package: Path, inputs: tuple[str, ...], *, function: str | None, state: Path | None, output: Path | None,
    state_output: Path | None, precision: Any, as_json: bool,
) -> int:  # fmt: skip
    """Calls the function, writes what it returns or tells of it, and returns the exit code."""
    from mctc.runtime.arrays import run_arrays, write_arrays

    outputs, states, labels = run_arrays(package, inputs, function=function, state=state, precision=precision)
    if output is not None:
        write_arrays(output, outputs)
    if state_output is not None:
        write_arrays(state_output, states)
    if as_json:
        import json

        click.echo(json.dumps({name: _listed(array) for name, array in outputs.items()}, allow_nan=False))
        return ExitCode.OK
    for name, array in outputs.items():
        click.echo(f"{clean(name)}: {_summary(array)}")
        for place in (-array).argsort(kind="stable")[:SHOWN_LABELS] if name in labels else ():
            click.echo(f"  {array[place]:.6g}  {clean(labels[name][place])}")
    for name, array in states.items():
        click.echo(f"state {clean(name)}: {list(array.shape)}")
    return ExitCode.OK


def _listed(array: Any) -> Any:
    """Nested lists of numbers, with None for what JSON has no number for: NaN and the infinities."""
    import numpy as np

    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array.tolist()
    known = array.astype(object)
    known[~np.isfinite(array)] = None
    return known.tolist()


def _summary(array: Any) -> str:
    """Type, shape and spread; a label as it is."""
    if not array.shape and array.dtype.kind in "iuU":
        return clean(str(array))
    spread = f", {array.min():.6g} to {array.max():.6g}, mean {array.mean():.6g}" if array.size else ""
    return f"{array.dtype} {list(array.shape)}{spread}"
