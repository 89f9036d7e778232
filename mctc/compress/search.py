"""Which form each weight takes: the least predicted loss that fits a size, or the least size at a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

import numpy as np

from mctc.compress.errors import CompressError
from mctc.ir.program import Quantization
from mctc.records import dataclass

Form = Quantization | None
SECONDS = 30.0  # that a solution may take; what it has found by then is within GAP of the best, or said
GAP = 1e-3


@dataclass(frozen=True)
class Offer:
    """A weight and, for each form that it can take, the bytes and the predicted loss in nats."""

    name: str
    bytes: Mapping[Form, int]
    loss: Mapping[Form, float]

    @property
    def largest(self) -> Form:
        """The form of most bytes: fp16, where a weight may stay so."""
        return max(self.bytes, key=self.bytes.__getitem__)

    def only(self, suits: Callable[[Form], bool]) -> Offer:
        """The forms that suit; all of them where none does."""
        forms = [form for form in self.bytes if suits(form)] or list(self.bytes)
        return Offer(self.name, {form: self.bytes[form] for form in forms}, {form: self.loss[form] for form in forms})


@dataclass(frozen=True)
class Choice:
    """The form of each weight, and what they come to: bytes (of the weights that were chosen for), nats."""

    forms: Mapping[str, Form]
    bytes: int
    loss: float


def chosen(offers: Sequence[Offer], forms: Mapping[str, Form]) -> Choice:
    """A choice that is given."""
    return Choice(
        dict(forms),
        sum(each.bytes[forms[each.name]] for each in offers),
        float(sum(each.loss[forms[each.name]] for each in offers)),
    )


def within_size(offers: Sequence[Offer], size: int, rest: int = 0) -> Choice:
    """The least loss in at most so many bytes, `rest` of which parameters take that stay in fp16 whatever is chosen.

    Raises CompressError where no choice is so small.
    """
    least = sum(min(each.bytes.values()) for each in offers) + rest
    if least > size:
        raise CompressError(
            f"the parameters take {least:,} bytes at least ({rest:,} of them in fp16 whatever is chosen), "
            f"and {size:,} are allowed",
            hint="allow forms of fewer bits (--forms), prune, or give a larger --size",
        )
    return _solved(offers, [each.loss for each in offers], [each.bytes for each in offers], size - rest)


def within_loss(offers: Sequence[Offer], loss: float) -> Choice:
    """The fewest bytes at a predicted loss of at most so much. Raises CompressError where no choice has so little."""
    least = sum(min(each.loss.values()) for each in offers)
    if least > loss:
        raise CompressError(f"every choice is predicted to lose {least:.2g} nats or more", hint="give a larger --loss")
    return _solved(offers, [each.bytes for each in offers], [each.loss for each in offers], loss)


def _solved(
    offers: Sequence[Offer],
    costs: Sequence[Mapping[Form, float]],
    weights: Sequence[Mapping[Form, float]],
    limit: float,
) -> Choice:
    """One form a weight, the sum of the weights within the limit, that of the costs the least."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    pairs = [(at, form) for at, each in enumerate(offers) for form in each.bytes]
    cost = np.array([costs[at][form] for at, form in pairs], np.float64)
    weight = np.array([weights[at][form] for at, form in pairs], np.float64)
    rows = csr_array(
        (np.ones(len(pairs)), ([at for at, _ in pairs], range(len(pairs)))), shape=(len(offers), len(pairs))
    )
    scale = max(float(weight.max(initial=0.0)), 1e-30)  # the solver's tolerances are absolute
    limits = [
        LinearConstraint(rows, 1, 1),
        LinearConstraint(weight[None] / scale, -np.inf, limit / scale),
    ]
    result = milp(
        cost / max(float(cost.max(initial=0.0)), 1e-30), constraints=limits, integrality=np.ones(len(pairs)),
        bounds=Bounds(0, 1), options={"time_limit": SECONDS, "mip_rel_gap": GAP},
    )  # fmt: skip
    if result.x is None:
        raise CompressError(f"the solver found no choice: {result.message}")
    forms = {offers[at].name: form for (at, form), taken in zip(pairs, result.x) if taken > 0.5}
    return chosen(offers, forms)


def frontier(offers: Sequence[Offer], points: int = 12) -> list[Choice]:
    """Choices from the smallest to the one of least loss, each at the least loss of its size."""
    least = sum(min(each.bytes.values()) for each in offers)
    most = sum(each.bytes[min(each.loss, key=lambda form: (each.loss[form], each.bytes[form]))] for each in offers)
    sizes = [round(least + (most - least) * share) for share in np.linspace(0, 1, points)]
    found = [within_size(offers, size) for size in sizes]
    best = accumulate((each.loss for each in found), min)
    return [each for each, loss in zip(found, best) if each.loss <= loss]
