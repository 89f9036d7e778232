"""The model's own `forward`: the training loss that the spec's `train` section names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mctc.ir.program import Function, Program
from mctc.ir.types import Role, TensorType
from mctc.objectives.auxiliary import auxiliaries
from mctc.objectives.components import MisfitError, fit, frames, hearing_of, transducer
from mctc.objectives.settings import OBJECTIVES, complete
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
        found = fit(program, name)
        more = replace(calls, auxiliaries=auxiliaries(program, hearing_of(found)), classes=found.classes)
        return LOSSES[name](program, complete(name, given), more)
    except MisfitError as error:
        raise UnsupportedError(f"the components do not fit {name}: {error}") from error


def _transducer(program: Program, settings: Settings, calls: Calls) -> Loss:
    parts = transducer(program)
    predictor, joiner = parts.predictor, parts.joiner
    heard = Heard(parts.hearing, (predictor, joiner), calls)
    (token,) = predictor.inputs
    joined = [_joined(value.type, parts.hearing.encoder, predictor, heard) for value in joiner.inputs]
    early = {name: settings[name] for name in ("fast_emit", "delay_penalty") if settings[name]}
    told = keywords({"blank": settings["blank"], "dim": 1, "classes": parts.classes, **early})
    begin = literal((settings["blank"],))  # an utterance starts behind a blank
    body = (
        f"before = begun(targets, target_lengths, {begin}, classes={parts.classes})",
        f"{first('predicted', predictor)} = {calls.text(predictor, [laid_out(token.type, 'before')])}",
        f"{first('logits', joiner)} = {calls.text(joiner, joined)}",
        f"frames = {heard.frames}",
    )
    value = f"rnnt_loss(logits, targets, frames, target_lengths, {told})"
    imports = ("begun", "rnnt_loss")
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
    "rnnt": _transducer,
    "ctc": _ctc,
    "cross_entropy": cross_entropy,
    "joint_ctc_attention": joint_ctc_attention,
}


def _joined(wanted: TensorType, encoder: Function, predictor: Function, heard: Heard) -> str:
    """A result laid out as the joiner takes it: labels may lie on the third axis or on the last."""
    over_time = wanted.find(Role.TIME) is not None
    name, value = (encoder if over_time else predictor).results[0]
    at, to = value.type.sequence, wanted.sequence
    text = heard.made[name] if over_time else "predicted"
    return text if at == to else f"{text}.transpose({min(at or 0, to or 0)}, {max(at or 0, to or 0)})"
