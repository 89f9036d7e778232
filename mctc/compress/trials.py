"""True losses of a few choices, which correct what is predicted of all.

A sum of quadratic forms is right for small errors and says too little of large ones. So every form is tried once on all
weights together that can take it, and its predictions are multiplied by what came out over what was predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mctc.compress.calibrate import mean_loss
from mctc.compress.errors import CompressError
from mctc.compress.round import FULL, QUICK, Effort
from mctc.compress.search import Choice, Form, Offer, chosen, within_loss
from mctc.compress.sensitivity import Model
from mctc.compress.speech import Speech
from mctc.driver.learner import Learner
from mctc.ir.op import Array
from mctc.records import dataclass

LEAST = 0.02  # nats; what is predicted to be smaller drowns in what a few utterances happen to say
ATTEMPTS = 4  # at a choice of a given true loss


@dataclass
class Trials:
    """A model that hears the same utterances with its weights in one form or another."""

    model: Model
    learner: Learner
    speech: Speech
    which: Sequence[int]
    base: float = 0.0

    def __post_init__(self) -> None:
        self.base = mean_loss(self.learner, self.speech, self.which)

    def added(self, forms: Mapping[str, Form], effort: Effort = FULL) -> float:
        """The nats that a choice adds to an utterance."""
        return self._with({layer.name: found.values for layer, found in self.model.rounded_all(forms, effort)})

    def alone(self, name: str, form: Form) -> float:
        """The nats that one weight in a form adds: the mean of its error and of the opposite one.

        So the gradient cancels that a few utterances happen to have, which is many times as large as what a weight
        adds, and nothing over all that the model was trained on.
        """
        layer = next(each for each in self.model.layers if each.name == name)
        value = self.model.value(layer)
        error = self.model.rounded(layer, form, QUICK).values - value
        return (self._with({name: value + error}) + self._with({name: value - error})) / 2

    def _with(self, values: Mapping[str, Array]) -> float:
        """What other values of some weights add."""
        try:
            self.learner.put(values)
            return mean_loss(self.learner, self.speech, self.which) - self.base
        finally:
            self.learner.put({each.name: self.model.value(each) for each in self.model.layers if each.name in values})


def corrected(offers: Sequence[Offer], trials: Trials, told: Callable[[str], None]) -> list[Offer]:
    """The same offers with the predictions of each form set right by one trial of it."""
    factors: dict[Form, float] = {None: 1.0}
    for form in dict.fromkeys(form for each in offers for form in each.bytes if form is not None):
        taking = {each.name: form if form in each.bytes else each.largest for each in offers}
        predicted = chosen(offers, taking).loss
        told(f"all weights as {form.scheme} of {form.bits} bits")
        true = trials.added(taking, QUICK)
        factors[form] = max(true / predicted, 0.25) if predicted > LEAST else 1.0
    return [replace(each, loss={form: loss * factors[form] for form, loss in each.loss.items()}) for each in offers]


def within_true_loss(offers: Sequence[Offer], trials: Trials, loss: float, told: Callable[[str], None]) -> Choice:
    """The smallest choice found whose true loss is at most so much: the prediction that is asked for is lowered until a
    trial confirms one. Raises CompressError where none of a few does."""
    asked = loss
    for _ in range(ATTEMPTS):
        choice = within_loss(offers, asked)
        true = trials.added(choice.forms)
        told(f"{choice.bytes / 1e6:.2f} MB, predicted {choice.loss:.3f} nats, true {true:.3f}")
        if true <= loss:
            return choice
        asked *= 0.8 * loss / true
    raise CompressError(
        f"no choice of {ATTEMPTS} that were tried loses {loss:g} nats or less", hint="give a larger --loss"
    )


def ranks(
    offers: Sequence[Offer], trials: Trials, bits: int, told: Callable[[str], None]
) -> tuple[float, list[tuple[str, float, float]]]:
    """Each weight alone in its first form of so many bits: name, predicted, true; before them Spearman's rank
    correlation of the two. Raises CompressError where fewer than three weights have such a form."""
    from scipy.stats import spearmanr

    rows = []
    for each in offers:
        form = next((form for form in each.bytes if form is not None and form.bits == bits), None)
        if form is not None:
            told(each.name)
            rows.append((each.name, each.loss[form], trials.alone(each.name, form)))
    if len(rows) < 3:
        raise CompressError(f"fewer than three weights have a form of {bits} bits", hint="--forms names the forms")
    return float(spearmanr([row[1] for row in rows], [row[2] for row in rows]).statistic), rows
