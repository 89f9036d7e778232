"""A comparison as text: tables for a terminal, Markdown, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from mctc.compare.measured import Measured
from mctc.compare.rows import rows

COLUMNS = 3  # models beside each other in 80 columns
WIDTH = 80
NOTE = (
    "MACs are multiply-accumulates of the step functions, by the definitions of their ops; a joiner is counted once a "
    "chunk, with one label. Placement and memory are of the package: `--build`, or a build's folder."
)


def headings(models: Sequence[Measured]) -> list[str]:
    """What models are called beside each other: by name, with the source where a name is not enough."""
    names = [model.model for model in models]
    return [name if names.count(name) == 1 else f"{name} ({m.source})" for name, m in zip(names, models)]


def as_text(models: Sequence[Measured]) -> str:
    """Tables of at most 80 columns, three models in each."""
    from rich.console import Console

    parts = []
    for first in range(0, len(models), COLUMNS):
        console = Console(width=WIDTH, highlight=False, color_system=None)
        with console.capture() as capture:
            console.print(_table(models[first : first + COLUMNS], headings(models)[first : first + COLUMNS]))
        parts.append("\n".join(line.rstrip() for line in capture.get().splitlines()))
    return "\n\n".join(parts)


def _table(models: Sequence[Measured], names: Sequence[str]) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    for row in rows(models):
        table.add_row(f"  {row.label}" if row.inner else row.label, *map(Text, row.cells))
    return table


def as_markdown(models: Sequence[Measured]) -> str:
    """One table, a column for each model."""
    lines = [["", *headings(models)], ["---", *["---:"] * len(models)]]
    lines += [[f"· {row.label}" if row.inner else row.label, *row.cells] for row in rows(models)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(models: Sequence[Measured], failed: Mapping[str, str]) -> str:
    """Everything that was counted, and what could not be, by its path."""
    return json.dumps({"models": [model.as_data() for model in models], "failed": dict(failed)}, indent=2)
