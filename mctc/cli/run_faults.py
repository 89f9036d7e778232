"""`mctc run --faults`: whether known miscompiles would change what this program gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from mctc.cli.verbosity import say
from mctc.diagnostics.errors import MctcError

if TYPE_CHECKING:
    from mctc.evaluate.faults.compare import Comparison, Effect
    from mctc.evaluate.faults.fault import Fault

SHOWN = 2


def run_with_faults(
    names: str, run: Callable[[str | None], str | int], precision: str | None, components: Mapping[str, str],
    *, as_json: bool,
) -> int:  # fmt: skip
    """Runs as asked for, every call compared with every fault; then once more with each that changed anything, where
    the result is text.

    run: given an arithmetic, the text that is printed, or an exit code where it printed itself. components: what
    functions of the package are called in the spec.
    Returns the exit code: that of the run. Raises UsageError for an unknown fault.
    """
    from mctc.evaluate.faults.compare import comparing
    from mctc.evaluate.faults.table import faults_of

    with comparing(faults_of(names)) as comparison:
        result = run(precision)
    for effect in comparison.effects:
        effect.function = components.get(effect.function, effect.function)
    if isinstance(result, str) and not as_json:
        click.echo(result, nl=False)
    texts = _texts(result, run, precision, comparison) if isinstance(result, str) else {}
    if as_json:
        import json

        click.echo(json.dumps([*_records(comparison, texts)], indent=2, ensure_ascii=False))
    else:
        for line in lines(comparison, texts):
            say(line)
    return 0 if isinstance(result, str) else result


def _texts(
    right: str, run: Callable[[str | None], str | int], precision: str | None, comparison: Comparison
) -> dict[str, str | None]:
    """What is heard with each fault that changed anything; None where that is the same."""
    found: dict[str, str | None] = {}
    for name in dict.fromkeys(effect.fault.name for effect in comparison.effects if effect.changed):
        try:
            heard = run(f"{precision or 'fp16'}+{name}")
        except MctcError as error:
            heard = str(error)
        found[name] = None if heard == right else str(heard)
    return found


def lines(comparison: Comparison, texts: dict[str, str | None]) -> list[str]:
    """The report, at most 80 columns where names are short."""
    told: list[str] = []
    changing = [effect for effect in comparison.effects if effect.changed]
    for effect in changing:
        told.append(f"{effect.fault.name}: {effect.function} changes, {_how(effect)}")
        told += _about(effect.fault)
        told += _wrapped(f"  at {_named(effect.operations)}")
        if effect.fault.name in texts:
            heard = texts[effect.fault.name]
            told.append("  the text stays the same" if heard is None else f"  heard: {heard.strip() or 'nothing'}")
    for effect in comparison.effects:
        if not effect.changed:
            calls = f"{effect.calls} call{'s' * (effect.calls != 1)}"
            told.append(f"{effect.fault.name}: {effect.function} stays as it is, in {calls}")
            told += _wrapped(f"  though it has {_named(effect.operations)}")
    if absent := comparison.absent():
        told += _wrapped(f"nothing to act on here: {', '.join(fault.name for fault in absent)}", "  ")
    return told


def _wrapped(line: str, indent: str = "    ") -> list[str]:
    """A line in 80 columns; names stay whole, so that they can be copied."""
    return wrap(line, 80, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _how(effect: Effect) -> str:
    size = "to or from infinity" if effect.largest == float("inf") else f"by up to {effect.largest:.2g}"
    return f"{size} of {effect.at}'s largest, in {effect.changed} of {effect.calls} calls"


def _about(fault: Fault) -> list[str]:
    stand_in = "" if fault.known else " (the wrong values are not published: these stand in)"
    rule = f", {fault.rule}" if fault.rule else ""
    return [f"  {fault.summary}{stand_in}", f"  on {fault.where}; {fault.systems}", f"  {fault.source}{rule}"]


def _named(operations: Sequence[str]) -> str:
    more = f" and {len(operations) - SHOWN} more" if len(operations) > SHOWN else ""
    return ", ".join(operations[:SHOWN]) + more


def _records(comparison: Comparison, texts: dict[str, str | None]) -> list[dict[str, Any]]:
    return [
        {
            "fault": effect.fault.name, "function": effect.function, "operations": list(effect.operations),
            "calls": effect.calls, "changed": effect.changed,
            "largest": None if effect.largest == float("inf") else effect.largest, "at": effect.at,
            "text": texts.get(effect.fault.name), "where": effect.fault.where, "systems": effect.fault.systems,
            "source": effect.fault.source, "rule": effect.fault.rule, "known": effect.fault.known,
        }
        for effect in comparison.effects
    ] + [{"fault": fault.name, "function": None, "operations": []} for fault in comparison.absent()]  # fmt: skip
