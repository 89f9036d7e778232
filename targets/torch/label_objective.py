"""The losses of a decoder over labels: cross-entropy under teacher forcing, alone or beside CTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mctc.ir.program import Program, Value
from mctc.objectives.components import FramesAndLabels, Labels, Part, frames_and_labels, labels
from mctc.targets.torch.added import Posteriors
from mctc.targets.torch.expressions.text import keywords, literal
from mctc.targets.torch.loss import Calls, Heard, Loss, first, laid_out

Settings = Mapping[str, Any]


def cross_entropy(program: Program, settings: Settings, calls: Calls) -> Loss:
    """The text of a forward over features, targets, and what else encoder and decoder take."""
    parts = labels(program)
    heard = Heard(parts.hearing, (parts.decoder,), calls)
    decoded = _Decoded(parts, settings, heard, calls)
    told = {"end": settings["end"], **_options(settings), "dim": 1, "classes": parts.classes}
    value = f"cross_entropy({decoded.said}, targets, target_lengths, {keywords(told)})"
    imports = {"cross_entropy", *decoded.imports}
    return heard.loss("Cross-entropy of the labels", decoded.lines, value, imports, decoded.extent)


def joint_ctc_attention(program: Program, settings: Settings, calls: Calls) -> Loss:
    """The same with CTC of what the encoder says of its frames."""
    parts: FramesAndLabels = frames_and_labels(program)
    heard = Heard(parts.labels.hearing, (parts.labels.decoder,), calls)
    decoded = _Decoded(parts.labels, settings, heard, calls)
    told = {name: settings[name] for name in ("blank", "end", "ctc_weight")} | _options(settings)
    told |= {"zero_infinity": True} if settings["zero_infinity"] else {}
    told |= {"dim": 1, "classes": parts.classes}
    posteriors = Posteriors(heard.made[parts.frames.result], "frames", parts.frames.classes)
    compared = f"{posteriors.logits}, {decoded.said}, targets, frames, target_lengths"
    counted = [] if parts.labels.among else [f"frames = {heard.frames}"]
    value = f"joint_ctc_attention({compared}, {keywords(told)}).loss"
    imports = {"joint_ctc_attention", *decoded.imports}
    return heard.loss(
        "CTC and cross-entropy",
        (*decoded.lines, *counted),
        value,
        imports,
        decoded.extent,
        posteriors,
        settings["blank"],
    )


def _options(settings: Settings) -> dict[str, Any]:
    """Settings of the cross-entropy that are not as usual."""
    usual = {"label_smoothing": 0, "ignored": None}
    return {name: settings[name] for name, default in usual.items() if settings[name] != default}


class _Decoded:
    """Lines that call the decoder on what it reads before each label. `said` is the text of what it then says;
    `extent` that of what it reads."""

    def __init__(self, parts: Labels, settings: Settings, heard: Heard, calls: Calls) -> None:
        self.parts, self.heard = parts, heard
        begin, prompt = settings["begin"], settings.get("prompt", ())
        memory = heard.made[parts.hearing.first]
        if parts.among:
            told = keywords({"begin": begin} | ({"prompt": prompt} if prompt else {}) | {"classes": parts.classes})
            self.lines = [
                f"frames = {heard.frames}",
                f"order = frames_then_labels(targets, target_lengths, frames, {memory}, {told})",
            ]
            self.imports = {"frames_then_labels"}
            self.said = "order.labels(decoded, targets.shape[1] + 1)"
            self.extent = " + ".join(
                [*([str(len(prompt))] if prompt else []), _frames_text(parts), f"{len(begin)} + U"]
            )
        else:
            self.lines = [f"before = begun(targets, target_lengths, {literal(begin)}, classes={parts.classes})"]
            self.imports = {"begun"}
            self.said = "decoded" if len(begin) == 1 else f"decoded[..., {len(begin) - 1} :]"
            self.extent = f"U+{len(begin)}"
        arguments = [self._given(value, calls) for value in parts.decoder.inputs]
        self.lines.append(f"{first('decoded', parts.decoder)} = {calls.text(parts.decoder, arguments)}")

    def _given(self, value: Value, calls: Calls) -> str:
        part = self.parts.parts[value.name]
        if part is Part.TOKEN:
            return laid_out(value.type, "order.tokens" if self.parts.among else "before")
        if part is Part.HEARD:
            return self.heard.result(self.parts.decoder, value)
        if part is Part.FRAME:
            return f"order.frames({self.heard.result(self.parts.decoder, value)})"
        if part is Part.ROW:
            return f"order.rows({self.heard.result(self.parts.decoder, value)}, {calls.tables[self.parts.table or '']})"
        if part is Part.IS_TOKEN:
            return laid_out(value.type, "order.is_token")
        return self.heard.takes(value)


def _frames_text(parts: Labels) -> str:
    """Frames of the longest utterance: T/4."""
    type_ = parts.hearing.encoder.results[0][1].type
    return str(type_.extents[type_.sequence or 0])
