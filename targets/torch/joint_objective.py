"""The loss of an encoder that classifies its frames and a decoder that attends to them: CTC with attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mctc.ir.program import Function, Program, Value
from mctc.ir.types import DType, Role, TensorType
from mctc.targets.torch.loss import Calls, Loss, laid_out

SETTINGS = {"blank": 0, "begin": 1, "end": 2, "ctc_weight": 0.3, "label_smoothing": 0.0}


def joint_ctc_attention(program: Program, settings: Mapping[str, Any], calls: Calls) -> Loss | None:
    """The text of a forward over features, targets, and what else the decoder takes with each label.

    The encoder comes first and has one result of classes a frame; components over time between it and the decoder take
    results by their names, or the first one. None where the components are not so.
    """
    encoder, *between = (f for f in program.functions.values() if not _takes(f, Role.LABEL))
    decoders = [f for f in program.functions.values() if _takes(f, Role.LABEL)]
    if len(decoders) != 1 or len(encoder.inputs) != 1 or encoder.name not in calls.counted:
        return None
    (decoder,) = decoders
    classes = [name for name, value in encoder.results if _of_classes(value.type, Role.TIME)]
    tokens = [value for value in decoder.inputs if value.type.dtype is DType.I32]
    if len(classes) != 1 or len(tokens) != 1 or not _of_classes(decoder.results[0][1].type, Role.LABEL):
        return None
    told = {**SETTINGS, **settings}
    heard, made = _heard(encoder, between, calls)
    options = [f"{name}={told[name]!r}" for name in ("blank", "end", "ctc_weight", "label_smoothing")]
    options += ["dim=1", f"classes={_classes(program, decoder)}"]
    compared = f"{made[classes[0]]}, decoded, targets, frames, target_lengths"
    body = (
        *heard,
        f"before = F.pad(targets, (1, 0), value={told['begin']})  # what begins a sentence",
        f"decoded = {calls.text(decoder, ', '.join(_given(value, tokens[0], made) for value in decoder.inputs))}",
        f"frames = self.{encoder.name}.output_lengths(lengths)",
        f"return joint_ctc_attention({compared}, {', '.join(options)}).loss",
    )
    features = encoder.inputs[0]
    beside = [v for v in decoder.inputs if v is not tokens[0] and v.type.find(Role.TIME) is None]
    arguments = [features.name, "lengths", "targets", "target_lengths", *(value.name for value in beside)]
    imports = {"F", "joint_ctc_attention", *(["valid_frames"] if calls.masks else [])}
    return Loss(tuple(f"{n}: Tensor" for n in arguments), _docs(features, beside), body, frozenset(imports))


def _heard(encoder: Function, between: list[Function], calls: Calls) -> tuple[list[str], dict[str, str]]:
    """Lines that call the components over time, and the variables that hold their results, by the results' names."""
    features = encoder.inputs[0]
    made = {name: f"{encoder.name}_{name}" for name, _ in encoder.results}
    lines = [
        f"features = {laid_out(features.name, features.type)}",
        f"{', '.join(made.values())} = {calls.text(encoder, 'features, lengths')}",
    ]
    if calls.masks:
        multiple = calls.multiple[encoder.name]
        lines.append(f"valid = valid_frames(features, lengths{f', multiple={multiple}' if multiple > 1 else ''})")
    for function in between:
        results = {name: f"{function.name}_{name}" for name, _ in function.results}
        taken = ", ".join(made.get(value.name, next(iter(made.values()))) for value in function.inputs)
        lines.append(f"{', '.join(results.values())} = {calls.text(function, taken)}")
        made |= results
    return lines, made


def _takes(function: Function, role: Role) -> bool:
    return any(value.type.find(role) is not None for value in function.inputs)


def _of_classes(type_: TensorType, over: Role) -> bool:
    return list(type_.roles[1:]) == [Role.VOCABULARY, Role.UNIT, over]


def _given(value: Value, token: Value, known: Mapping[str, str]) -> str:
    """What the decoder's input is given."""
    if value is token:
        return "before[:, None, None]"
    if value.type.find(Role.TIME) is not None:
        return known.get(value.name, next(iter(known.values())))
    return f"{value.name}.transpose(1, 2)[:, :, None]"


def _classes(program: Program, decoder: Function) -> int:
    """Entries of the vocabulary that are no padding."""
    result, value = decoder.results[0]
    padded = value.type.extents[1].value
    return next((v.valid for v in program.vocabularies if (v.function, v.result) == (decoder.name, result)), padded)


def _docs(features: Value, beside: list[Value]) -> str:
    width = features.type.extents[1]
    more = "".join(f", {v.name} (B, U+1, {v.type.extents[1]}) of the labels behind what begins" for v in beside)
    return (
        f"CTC and cross-entropy: {features.name} (B, T, {width}), targets (B, U) without begin and end, the lengths of "
        f"both (B,){more}, to the mean over the batch."
    )
