"""What auxiliary objectives and consistency regularisation add to the loss of a model, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mctc.objectives.auxiliary import Auxiliary
from mctc.records import dataclass
from mctc.targets.torch.expressions.text import keywords, literal

if TYPE_CHECKING:
    from mctc.targets.torch.loss import Heard

CONSISTENCY = (
    " `consistency` weighs how far the CTC posteriors of the batch's halves, two views of the same, are apart."
)


@dataclass(frozen=True)
class Posteriors:
    """Logits of CTC, as text: for consistency regularisation. classes: of them, where the vocabulary is padded."""

    logits: str
    frames: str
    classes: int | None = None


class Added:
    """What auxiliary objectives and consistency regularisation add to a loss: lines, heads that the model holds, and
    arguments that name the targets of other tasks, each with the words that tell its shape."""

    def __init__(self, heard: Heard, frames: str, blank: int, per_label: bool, posteriors: Posteriors | None) -> None:
        """frames: the text of how many the encoder's first result has. The others as of Heard.loss."""
        self.heard, self.frames, self.per_label = heard, frames, per_label
        self.imports: set[str] = set()
        self.heads: dict[str, str] = {}
        self.targets: dict[str, str] = {}
        self.named: dict[str, str] = {}  # arguments by what the spec calls them
        self.posteriors = posteriors
        self.lines = [line for each in heard.calls.auxiliaries for line in self._auxiliary(each, blank)]
        self.arguments = [] if self.posteriors is None else ["*", "consistency: float = 0.0"]
        self.docs = "" if self.posteriors is None else CONSISTENCY

    def to(self, value: str) -> list[str]:
        """The lines that give the loss, of the objective's own."""
        weight = self.heard.calls.weight
        weighed = value if weight == 1 else f"{literal(weight)} * {value}"
        if self.posteriors is None and not self.lines:
            return [f"return {weighed}"]
        return [f"loss = {weighed}", *self.lines, *self._consistency(), "return loss"]

    def _consistency(self) -> list[str]:
        if self.posteriors is None:
            return []
        found = self.posteriors
        self.imports.add("ctc_consistency")
        told = keywords({"dim": 1} | ({} if found.classes is None else {"classes": found.classes}))
        labels = ", target_lengths" if self.per_label else ""
        return [
            "if consistency:",
            f"    loss = loss + consistency * ctc_consistency({found.logits}, {found.frames}{labels}, {told})",
        ]

    def _auxiliary(self, each: Auxiliary, blank: int) -> list[str]:
        """The lines of one: logits, by its head where it has one, and their loss."""
        heard, head = self.heard, []
        stride = each.stride
        frames = "lengths" if stride == 1 else f"-(-lengths // {stride})"
        frames = self.frames if stride == heard.hearing.stride else frames
        logits = heard.made[each.result]
        if each.head:
            task = each.settings["targets"]
            logits = heard.names.fresh(each.head.removeprefix("auxiliary_") if task is None else f"{task}_logits")
            head.append(f"{logits} = self.{each.head}({self._read(each)})")
            self.heads[each.head] = f"Conv2d({each.width}, {each.classes})"
            self.imports.add("Conv2d")
        lines = self._ctc(each, logits, frames, blank) if each.kind == "ctc" else self._classes(each, logits, frames)
        return [*head, *lines]

    def _read(self, each: Auxiliary) -> str:
        """What a head reads."""
        given = self.heard.made[each.result]
        given = f"{self.heard.inner[each.function]}[{literal(each.path)}]" if each.path else given
        if not each.settings["dropout"]:
            return given
        self.imports.add("dropout")
        return f"dropout({given}, {literal(each.settings['dropout'])}, self.training)"

    def _ctc(self, each: Auxiliary, logits: str, frames: str, blank: int) -> list[str]:
        """CTC of an utterance or a label, as the objective counts."""
        settings, labels = each.settings, "targets, target_lengths"
        if settings["targets"] is not None:
            name = self._argument(settings["targets"], f"{settings['targets']} (B, L)")
            labels = f"{name}, {self._argument(f'{name}_lengths', f'{name}_lengths (B,)')}"
            blank = 0
        else:
            self.posteriors = self.posteriors or Posteriors(logits, frames, None if each.head else each.classes)
        told: dict[str, object] = {"blank": blank if settings["blank"] is None else settings["blank"], "dim": 1}
        told |= {} if each.head else {"classes": each.classes}
        told |= {"zero_infinity": True} if settings["zero_infinity"] else {}
        told |= {} if self.per_label else {"reduction": "none"}
        self.imports.add("ctc_loss")
        labels, counted = labels.split(", ")
        return [
            f"added = ctc_loss({logits}, {labels}, {frames}, {counted}, {keywords(told)})",
            f"loss = loss + {literal(settings['weight'])} * added{'' if self.per_label else '.mean()'}",
        ]

    def _classes(self, each: Auxiliary, logits: str, frames: str) -> list[str]:
        """Cross-entropy of a class for each frame or utterance."""
        settings = each.settings
        shape = (
            "(B,)" if each.kind == "utterance_classes" else f"(B, {'T' if each.stride == 1 else f'T/{each.stride}'})"
        )
        name = self._argument(settings["targets"], f"{settings['targets']} {shape}")
        told = {key: settings[key] for key in ("label_smoothing", "ignored") if settings[key] not in (0, None)}
        if settings["ignored"] is not None:
            told["ignored"] = settings["ignored"]
        self.imports.add(each.kind)
        more = f", {keywords(told)}" if told else ""
        return [f"loss = loss + {literal(settings['weight'])} * {each.kind}({logits}, {name}, {frames}{more})"]

    def _argument(self, name: str, told: str) -> str:
        """An argument of the loss; tasks of one name share it."""
        if name not in self.named:
            self.named[name] = self.heard.names.fresh(name)
            self.targets[self.named[name]] = told
        return self.named[name]
