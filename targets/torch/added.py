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
    """What auxiliary objectives and consistency regularisation add to a loss: lines, and heads that the model holds."""

    def __init__(self, heard: Heard, frames: str, blank: int, per_label: bool, posteriors: Posteriors | None) -> None:
        """frames: the text of how many the encoder's first result has. The others as of Heard.loss."""
        self.heard, self.frames, self.per_label = heard, frames, per_label
        self.imports: set[str] = set()
        self.heads: dict[str, str] = {}
        self.posteriors = posteriors
        self.lines = [line for each in heard.calls.auxiliaries for line in self._auxiliary(each, blank)]
        self.arguments = [] if self.posteriors is None else ["*", "consistency: float = 0.0"]
        self.docs = "" if self.posteriors is None else CONSISTENCY

    def to(self, value: str) -> list[str]:
        """The lines that give the loss, of the objective's own."""
        if self.posteriors is None:
            return [f"return {value}"]
        found = self.posteriors
        self.imports.add("ctc_consistency")
        told = keywords({"dim": 1} | ({} if found.classes is None else {"classes": found.classes}))
        labels = ", target_lengths" if self.per_label else ""
        return [
            f"loss = {value}",
            *self.lines,
            "if consistency:",
            f"    loss = loss + consistency * ctc_consistency({found.logits}, {found.frames}{labels}, {told})",
            "return loss",
        ]

    def _auxiliary(self, each: Auxiliary, blank: int) -> list[str]:
        """The lines of one: logits by its head, and their CTC, an utterance's or a label's as the objective counts."""
        heard, settings = self.heard, each.settings
        given = f"{heard.inner[each.function]}[{literal(each.path)}]" if each.path else heard.first(each.function)
        if settings["dropout"]:
            given = f"dropout({given}, {literal(settings['dropout'])}, self.training)"
            self.imports.add("dropout")
        logits = heard.names.fresh(each.head.removeprefix("auxiliary_"))
        stride = each.stride
        frames = "lengths" if stride == 1 else f"-(-lengths // {stride})"
        frames = self.frames if stride == heard.hearing.stride else frames
        told: dict[str, object] = {"blank": blank if settings["blank"] is None else settings["blank"], "dim": 1}
        told |= {"zero_infinity": True} if settings["zero_infinity"] else {}
        told |= {} if self.per_label else {"reduction": "none"}
        self.imports |= {"ctc_loss", "Conv2d"}
        self.heads[each.head] = f"Conv2d({each.width}, {heard.calls.classes})"
        self.posteriors = self.posteriors or Posteriors(logits, frames)
        mean = "" if self.per_label else ".mean()"
        return [
            f"{logits} = self.{each.head}({given})",
            f"added = ctc_loss({logits}, targets, {frames}, target_lengths, {keywords(told)})",
            f"loss = loss + {literal(settings['weight'])} * added{mean}",
        ]
