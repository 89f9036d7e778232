"""The model's own `forward`: the training loss that the spec's `train` section names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mctc.ir.program import Function, Program
from mctc.ir.types import Role, TensorType
from mctc.objectives.auxiliary import auxiliaries
from mctc.objectives.components import frames
from mctc.objectives.fit import fit
from mctc.objectives.misfit import MisfitError
from mctc.objectives.settings import OBJECTIVES, complete
from mctc.objectives.transducers import Transducer, transducer
from mctc.targets.torch.added import Posteriors
from mctc.targets.torch.expressions import UnsupportedError
from mctc.targets.torch.expressions.text import keywords, literal
from mctc.targets.torch.label_objective import cross_entropy, joint_ctc_attention
from mctc.targets.torch.loss import Calls, Heard, Loss, first, laid_out

Settings = Mapping[str, Any]


def loss_of(program: Program, calls: Calls) -> Loss | None:
    """The loss of a program, or None where it names none. Raises UnsupportedError where the components do not fit."""
    objective = program.train.call("objective")
    if objective is None:
        return None
    name, given = objective
    if name not in OBJECTIVES:
        raise UnsupportedError(f"there is no objective {name!r}")
    try:
        found = fit(program, name, given)
        weight = program.train.settings.get("objective_weight", 1.0)
        assert isinstance(weight, float)
        more = replace(calls, auxiliaries=auxiliaries(program, found), weight=weight)
        return LOSSES[name](program, complete(name, given), more)
    except MisfitError as error:
        raise UnsupportedError(f"the components do not fit {name}: {error}") from error


def _rnnt(program: Program, settings: Settings, calls: Calls) -> Loss:
    parts = transducer(program)
    told = {"blank": settings["blank"], "dim": 1, "classes": parts.classes, **_early(settings)}
    value = f"rnnt_loss(logits, targets, frames, target_lengths, {keywords(told)})"
    return _transducer(parts, settings, calls, first("logits", parts.joiner), (), value)


def _tdt(program: Program, settings: Settings, calls: Calls) -> Loss:
    parts = transducer(program, len(settings["durations"]))
    told = {"durations": settings["durations"], "blank": settings["blank"]}
    told |= {"sigma": settings["sigma"]} if settings["sigma"] else {}
    told |= {"dim": 1, "classes": parts.classes, **_early(settings)}
    value = f"tdt_loss(logits, spans, targets, frames, target_lengths, {keywords(told)})"
    if parts.apart:
        others = ["_" for _ in parts.joiner.results[2:]]
        return _transducer(parts, settings, calls, ", ".join(["logits", "spans", *others]), (), value)
    behind = f"spans = logits[:, {parts.classes}:{parts.classes + parts.durations}]"
    return _transducer(parts, settings, calls, "logits", (behind,), value)


def _early(settings: Settings) -> Settings:
    """The settings that draw labels to earlier frames, of those that do."""
    return {name: settings[name] for name in ("fast_emit", "delay_penalty") if settings[name]}


def _transducer(
    parts: Transducer, settings: Settings, calls: Calls, results: str, more: tuple[str, ...], value: str
) -> Loss:
    """results: what the joiner's are bound to. more: lines behind that. value: the call of the loss."""
    predictor, joiner = parts.predictor, parts.joiner
    heard = Heard(parts.hearing, (predictor, joiner), calls)
    (token,) = predictor.inputs
    joined = [_joined(value.type, parts.hearing.encoder, predictor, heard) for value in joiner.inputs]
    begin = literal((settings["blank"],))  # an utterance starts behind a blank
    body = (
        f"before = begun(targets, target_lengths, {begin}, classes={parts.classes})",
        f"{first('predicted', predictor)} = {calls.text(predictor, [laid_out(token.type, 'before')])}",
        f"{results} = {calls.text(joiner, joined)}",
        *more,
        f"frames = {heard.frames}",
    )
    imports = ("begun", value.partition("(")[0])
    return heard.loss("The transducer loss", body, value, imports, blank=settings["blank"], per_label=False)


def _ctc(program: Program, settings: Settings, calls: Calls) -> Loss:
    parts = frames(program)
    heard = Heard(parts.hearing, (), calls)
    told = {"blank": settings["blank"], "dim": 1, "classes": parts.classes}
    told |= {"zero_infinity": True} if settings["zero_infinity"] else {}
    said = Posteriors(heard.made[parts.result], "frames", parts.classes)
    value = f"ctc_loss({said.logits}, targets, frames, target_lengths, {keywords(told)})"
    body = (f"frames = {heard.frames}",)
    return heard.loss("The CTC loss", body, value, ("ctc_loss",), posteriors=said, blank=settings["blank"])


LOSSES: Mapping[str, Callable[[Program, Settings, Calls], Loss]] = {
    "rnnt": _rnnt,
    "tdt": _tdt,
    "ctc": _ctc,
    "cross_entropy": cross_entropy,
    "joint_ctc_attention": joint_ctc_attention,
}


def _joined(wanted: TensorType, encoder: Function, predictor: Function, heard: Heard) -> str:
    """A result laid out as the joiner takes it: labels may lie on the third axis or on the last."""
    over_time = wanted.find(Role.TIME) is not None
    value = (encoder if over_time else predictor).results[0][1]
    at, to = value.type.sequence, wanted.sequence
    text = heard.made[heard.hearing.first] if over_time else "predicted"
    return text if at == to else f"{text}.transpose({min(at or 0, to or 0)}, {max(at or 0, to or 0)})"
