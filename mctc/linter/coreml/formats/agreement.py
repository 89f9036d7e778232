"""What was predicted against what a Mac measured, for a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from mctc.diagnostics.clean import clean
from mctc.linter.coreml.agreement import ENGINE, Agreement, AgreementRow, Refusal, Score
from mctc.linter.coreml.formats.plain import BOLD, GREEN, RED, YELLOW, cell, columns, paint, wrapped
from mctc.linter.coreml.formats.words import PLACES, counted, percent
from mctc.linter.coreml.placement import Eligible, Predicted
from mctc.linter.coreml.plan import NOTED
from mctc.linter.coreml.rule import Effect
from mctc.linter.coreml.segment import CHARGES

KIND = "mctc lint agreement"
VERSION = 1
SHOWN = 10
DEVICES = {"ane": "Neural Engine", "cpu": "CPU", "gpu": "GPU", "other": "other"}
USUAL = "cpuAndNeuralEngine"


def render_agreement(agreement: Agreement, *, color: bool = False, everything: bool = False) -> str:
    """The agreement for a terminal of 80 columns, without a closing newline. everything: all ops, not the first few."""
    return "\n".join(_lines(agreement, color, None if everything else SHOWN))


def agreement_json(agreement: Agreement) -> str:
    """The agreement as JSON, without a closing newline; docs/lint-measured.md says what is in it."""
    places, eligibility = agreement.places, agreement.eligibility
    content = {
        "kind": KIND,
        "version": VERSION,
        "package": agreement.path,
        "measured": {
            "path": agreement.plan.path,
            "model": agreement.plan.model,
            "chip": agreement.plan.chip,
            "system": agreement.plan.system,
            "units": agreement.plan.units,
            "source": agreement.plan.source,
            "charges_us": dict(agreement.plan.charges),
        },
        "ops": len(agreement.rows),
        "decided": agreement.decided,
        "agreed": agreement.agreed,
        "share": agreement.share,
        "cost_share": agreement.cost_share,
        "placement": {
            place.value: {device: places.get((place, device), 0) for device in DEVICES} for place in Predicted
        },
        "eligibility": {
            each.value: {
                "supported": eligibility.get((each, True), 0),
                "not_supported": eligibility.get((each, False), 0),
            }
            for each in Eligible
        },
        "rules": [_score(each) for each in agreement.scores],
        "messages": [_refusal(each) for each in agreement.refusals],
        "estimates": {
            each.device: {"ops": each.ops, "median": each.median, "within_10": each.close, "within_30": each.near}
            for each in agreement.estimates
        },
        "rows": [_row(each) for each in agreement.rows] if agreement.plan.source == NOTED else [],
        "misplaced": [_row(each) for each in agreement.misplaced],
        "misjudged": [_row(each) for each in agreement.misjudged],
        "unmeasured": [{"function": name, "op": op.name, "type": op.type} for name, op in agreement.unmeasured],
        "unknown": [
            {"function": name, "outputs": list(each.outputs), "type": each.type} for name, each in agreement.unknown
        ],
    }
    return json.dumps(content, indent=2, allow_nan=False)


def _lines(agreement: Agreement, color: bool, limit: int | None) -> Iterator[str]:
    plan = agreement.plan
    yield paint(clean(agreement.path), BOLD, color)
    yield from wrapped(f"against {plan.path}: {plan.model} on {plan.chip}, {plan.system}, {plan.units}", 2)
    if plan.source == NOTED:
        charges = "".join(f", {name} {time:g} µs" for name, time in plan.charges.items())
        yield from wrapped(f"noted by Core ML's compiler{charges}; here {_own_charges()}", 2)
    if plan.units != USUAL:
        said = f"Predictions are for {USUAL}: of what the GPU took, nothing is known."
        yield from (paint(line, YELLOW, color) for line in wrapped(said, 2, 0))
    yield ""
    yield from _headline(agreement, color)
    if agreement.rows:
        yield ""
        yield from _placement(agreement, color)
        yield ""
        yield from _eligibility(agreement, color)
    if agreement.scores:
        yield ""
        yield from _rules(agreement.scores, color)
    yield from _refusals(agreement, color, limit)
    yield from _estimates(agreement, color)
    yield from _ops("Not where predicted", agreement.misplaced, color, limit)
    only_judged = [row for row in agreement.misjudged if row.agrees is not False]
    yield from _ops("Eligibility not as predicted, though the place was not wrong", only_judged, color, limit)
    yield from _unmatched(agreement, limit)
    if limit is None and agreement.plan.source == NOTED:
        yield from _every(agreement.rows, color)


def _own_charges() -> str:
    return f"launch {CHARGES.launch:g} µs, switch {CHARGES.switch:g} µs"


def _refusals(agreement: Agreement, color: bool, limit: int | None) -> Iterator[str]:
    """Core ML's own messages beside what was predicted of the same ops."""
    refusals = agreement.refusals
    if not refusals:
        return
    yield ""
    yield paint("Why not the Neural Engine, in Core ML's own words", BOLD, color)
    for refusal in refusals[:limit]:
        types = ", ".join(sorted({row.op.type for row in refusal.rows}))
        predicted = ", ".join(f"{each.value} {refusal.count(each)}" for each in Eligible if refusal.count(each))
        rules = f"; {', '.join(refusal.rules)}" if refusal.rules else "; no rule"
        said = (
            f'"{refusal.message}": {counted(len(refusal.rows), "op")} ({types}); predicted eligible: {predicted}{rules}'
        )
        style = RED if refusal.count(Eligible.YES) else ""
        yield from (paint(line, style, color) for line in wrapped(said, 2))
    if limit is not None and len(refusals) > limit:
        yield f"  and {counted(len(refusals) - limit, 'message')} more"


def _estimates(agreement: Agreement, color: bool) -> Iterator[str]:
    if agreement.estimates:
        yield ""
        yield paint(f"{'estimates':<18}{'ops':>8}{'median off':>13}{'within 10 %':>14}{'within 30 %':>14}", BOLD, color)
    for each in agreement.estimates:
        cells = f"{percent(each.median):>13}{percent(each.close):>14}{percent(each.near):>14}"
        yield f"  {DEVICES[each.device]:<16}{each.ops:>8}{cells}"


def _every(rows: Sequence[AgreementRow], color: bool) -> Iterator[str]:
    """Every op with what was predicted and what Core ML's compiler notes of it."""
    yield ""
    yield paint("Every op: predicted, chosen; estimates here and Core ML's", BOLD, color)
    for row in rows:
        pairs = ((ENGINE, row.op.ane), ("cpu", row.op.cpu))
        theirs = ((DEVICES[device], ours, row.noted.times.get(device)) for device, ours in pairs)
        times = "; ".join(
            f"{device} {ours:.3g} µs, {'not said' if said is None else f'{said:.3g} µs'}"
            for device, ours, said in theirs
        )
        why = f'; "{row.message}"' if row.message else ""
        chosen = row.noted.backend or DEVICES[row.measured]
        said = f"{_name(row.function, row.op.name)} ({row.op.type}): {PLACES[row.op.predicted]}, {chosen}; {times}{why}"
        yield from wrapped(said, 2)


def _headline(agreement: Agreement, color: bool) -> Iterator[str]:
    if agreement.share is None:
        said = "No op was both measured and predicted without doubt: is this the plan of the same model?"
        yield from (paint(line, YELLOW, color) for line in wrapped(said, hanging=0))
        return
    doubtful = len(agreement.rows) - agreement.decided
    weighed = agreement.cost_share
    cost = f" ({percent(weighed)} of what Core ML says they cost)" if weighed is not None else ""
    said = (
        f"{agreement.agreed} of {counted(agreement.decided, 'op')}, {percent(agreement.share)}, "
        f"{'is' if agreement.agreed == 1 else 'are'} where predicted{cost}; {counted(doubtful, 'doubtful op')} apart."
    )
    style = GREEN if agreement.agreed == agreement.decided else YELLOW
    yield from (paint(line, style, color) for line in wrapped(said, hanging=0))


def _placement(agreement: Agreement, color: bool) -> Iterator[str]:
    places = agreement.places
    devices = [each for each in DEVICES if each in ("ane", "cpu") or any(device == each for _, device in places)]
    yield paint(f"{'predicted':<18}" + "".join(f"{DEVICES[each]:>15}" for each in devices), BOLD, color)
    for place in PLACES:
        cells = []
        for device in devices:
            count = places.get((place, device), 0)
            wrong = count and place is not Predicted.DOUBTFUL and (place is Predicted.ANE) != (device == "ane")
            cells.append(paint(f"{count:>15}", RED if wrong else "", color))
        yield f"  {PLACES[place]:<16}" + "".join(cells)


def _eligibility(agreement: Agreement, color: bool) -> Iterator[str]:
    found = agreement.eligibility
    yield paint(f"{'eligible':<18}{'supported':>15}{'not supported':>15}", BOLD, color)
    for each in Eligible:
        cells = []
        for supported in (True, False):
            count = found.get((each, supported), 0)
            wrong = count and each is not Eligible.CONTESTED and (each is Eligible.YES) != supported
            cells.append(paint(f"{count:>15}", RED if wrong else "", color))
        yield f"  {each.value:<16}" + "".join(cells)


def _rules(scores: Sequence[Score], color: bool) -> Iterator[str]:
    yield paint(f"{'rules':<44}{'ops':>6}{'supported':>11}{'on the engine':>15}", BOLD, color)
    for score in scores:
        effect = "off" if score.effect is Effect.OFF else "doubt"
        name = cell(f"{score.code} {score.name}, {effect}", 42)
        row = f"  {name}{score.fired:>6}{score.supported:>11}{score.on_engine:>15}"
        yield paint(row, RED if score.effect is Effect.OFF and score.on_engine else "", color)


def _ops(title: str, rows: Sequence[AgreementRow], color: bool, limit: int | None) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield paint(f"{title}: {counted(len(rows), 'op')}", BOLD, color)
    for row in rows[:limit]:
        can = "supported" if row.supported else "not supported"
        cost = f", {percent(row.cost)} of the cost" if row.cost else ""
        rules = f"; {', '.join(row.op.rules)}" if row.op.rules else ""
        said = (
            f"{_name(row.function, row.op.name)} ({row.op.type}): predicted {PLACES[row.op.predicted]}, measured "
            f"{DEVICES[row.measured]}; eligible {row.op.eligible.value}, {can}{cost}{rules}"
        )
        yield from wrapped(said, 2)
    if limit is not None and len(rows) > limit:
        yield f"  and {len(rows) - limit} more"


def _unmatched(agreement: Agreement, limit: int | None) -> Iterator[str]:
    unmeasured = [f"{_name(name, op.name)} ({op.type})" for name, op in agreement.unmeasured]
    unknown = [f"{_name(name, ', '.join(each.outputs))} ({each.type})" for name, each in agreement.unknown]
    for title, names in (("Nothing was measured of", unmeasured), ("Only in the plan", unknown)):
        if names:
            yield ""
            more = f" and {len(names) - limit} more" if limit is not None and len(names) > limit else ""
            yield from wrapped(f"{title} {counted(len(names), 'op')}: {'; '.join(names[:limit])}{more}")


def _name(function: str, op: str) -> str:
    """'main: conv_3' with the middle left out of names that would fill the page."""
    return ": ".join(cell(each, 30).rstrip() if columns(each) > 30 else each for each in (function, op))


def _score(score: Score) -> dict[str, Any]:
    return {
        "code": score.code,
        "effect": score.effect.value,
        "fired": score.fired,
        "supported": score.supported,
        "on_engine": score.on_engine,
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "message": refusal.message,
        "ops": [{"function": row.function, "op": row.op.name, "type": row.op.type} for row in refusal.rows],
        "eligible": {each.value: refusal.count(each) for each in Eligible},
        "rules": list(refusal.rules),
    }


def _row(row: AgreementRow) -> dict[str, Any]:
    return {
        "function": row.function,
        "index": row.index,
        "op": row.op.name,
        "type": row.op.type,
        "predicted": row.op.predicted.value,
        "measured": row.measured,
        "eligible": row.op.eligible.value,
        "supported": row.supported,
        "rules": list(row.op.rules),
        "ane_us": row.op.ane,
        "cpu_us": row.op.cpu,
        "cost": row.cost,
        "backend": row.noted.backend,
        "core_ml_us": dict(row.noted.times),
        "messages": dict(row.noted.messages),
    }
