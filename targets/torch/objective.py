"""The model's own `forward`: the training loss that the spec's `train` section names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mctc.ir.program import Function, Program
from mctc.ir.types import Role, TensorType
from mctc.targets.torch.joint_objective import joint_ctc_attention
from mctc.targets.torch.loss import Calls, Loss, by_frames, laid_out


def loss_of(program: Program, calls: Calls) -> Loss | None:
    """The loss of a program, or None where it names none, or one that its components do not fit."""
    objective = program.train.settings.get("objective")
    name, settings = objective if isinstance(objective, tuple) and len(objective) == 2 else (objective, {})
    write = LOSSES.get(str(name))
    return None if write is None else write(program, dict(settings), calls)


def _transducer(program: Program, settings: Mapping[str, Any], calls: Calls) -> Loss | None:
    kinds = {(_takes(f, Role.TIME), _takes(f, Role.LABEL)): f for f in program.functions.values()}
    found = [kinds.get(kind) for kind in ((True, False), (False, True), (True, True))]
    if len(program.functions) != 3 or None in found:
        return None
    encoder, predictor, joiner = (f for f in found if f is not None)
    shapes = [(len(f.inputs), len(f.results)) for f in (encoder, predictor, joiner)]
    if shapes != [(1, 1), (1, 1), (2, 1)] or encoder.name not in calls.counted:
        return None
    blank = settings.get("blank", 0)
    features = encoder.inputs[0]
    names = {"enc": encoder, "pred": predictor}
    by_input = {value.name: _source(value.type) for value in joiner.inputs}
    results = {"enc": "encoded", "pred": "predicted"}
    arguments = ", ".join(_turned(results[by_input[v.name]], names[by_input[v.name]], v.type) for v in joiner.inputs)
    body = (
        f"encoded = {calls.text(encoder, f'{laid_out(features.name, features.type)}, lengths')}",
        f"before = F.pad(targets, (1, 0), value={blank})  # an utterance starts behind a blank",
        f"predicted = {calls.text(predictor, 'before[:, None, None]')}",
        f"logits = {calls.text(joiner, arguments)}",
        f"frames = self.{encoder.name}.output_lengths(lengths)",
        f"return rnnt_loss(logits, targets, frames, target_lengths, blank={blank}, dim=1)",
    )
    return Loss(
        (f"{features.name}: Tensor", "lengths: Tensor", "targets: Tensor", "target_lengths: Tensor"),
        f"The transducer loss: {_given(features.name, features.type)}.",
        body,
        frozenset({"F", "rnnt_loss"}),
    )


def _ctc(program: Program, settings: Mapping[str, Any], calls: Calls) -> Loss | None:
    functions = list(program.functions.values())
    if len(functions) != 1 or len(functions[0].inputs) != 1 or functions[0].name not in calls.counted:
        return None
    (function,) = functions
    _, logits = function.results[0]
    axes = [axis.role for axis in logits.type.axes]
    if axes[1:] != [Role.VOCABULARY, Role.UNIT, Role.TIME]:
        return None
    features = function.inputs[0]
    blank = settings.get("blank", 0)
    body = (
        f"logits = {calls.text(function, f'{laid_out(features.name, features.type)}, lengths')}",
        f"frames = self.{function.name}.output_lengths(lengths)",
        f"return ctc_loss(logits, targets, frames, target_lengths, blank={blank}, dim=1)",
    )
    return Loss(
        (f"{features.name}: Tensor", "lengths: Tensor", "targets: Tensor", "target_lengths: Tensor"),
        f"The CTC loss: {_given(features.name, features.type)}.",
        body,
        frozenset({"ctc_loss"}),
    )


LOSSES: Mapping[str, Callable[[Program, Mapping[str, Any], Calls], Loss | None]] = {
    "rnnt": _transducer,
    "ctc": _ctc,
    "joint_ctc_attention": joint_ctc_attention,
}


def _takes(function: Function, role: Role) -> bool:
    return any(value.type.find(role) is not None for value in function.inputs)


def _source(type_: TensorType) -> str:
    return "enc" if type_.find(Role.TIME) is not None else "pred"


def _given(name: str, type_: TensorType) -> str:
    shape = f"(B, T, {type_.extents[1]})" if by_frames(type_) else f"({', '.join(map(str, type_.extents))})"
    return f"{name} {shape}, targets (B, U), and the lengths of both (B,), to the mean over the batch"


def _turned(name: str, made_by: Function, wanted: TensorType) -> str:
    """A result laid out as another component takes it: labels may lie on the third axis or on the last."""
    have = made_by.results[0][1].type
    at, to = have.sequence, wanted.sequence
    return name if at == to else f"{name}.transpose({min(at or 0, to or 0)}, {max(at or 0, to or 0)})"
