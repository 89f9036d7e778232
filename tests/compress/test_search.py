"""The search: budgets are kept, and the choice is the best there is."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from mctc.compress.errors import CompressError
from mctc.compress.search import Choice, Offer, chosen, frontier, within_loss, within_size
from mctc.ir.program import Quantization

FORMS = [Quantization("int8", 8), Quantization("int4", 4), Quantization("palette", 3), None]
random = np.random.default_rng(2)
OFFERS = [
    Offer(
        f"w{at}",
        {form: size * bits for form, bits in zip(FORMS, (8, 4, 3, 16))},
        {form: float(scale * share) for form, share in zip(FORMS, (0.01, 0.4, 1.0, 0.0))},
    )
    for at, (size, scale) in enumerate(zip(random.integers(100, 3000, 6), 10 ** random.uniform(-4, 0, 6)))
]


def every() -> list[Choice]:
    return [
        chosen(OFFERS, {each.name: form for each, form in zip(OFFERS, forms)}) for forms in product(FORMS, repeat=6)
    ]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.6, 1.0])
def test_the_least_loss_of_a_size_is_found(share: float) -> None:
    choices = every()
    sizes = [each.bytes for each in choices]
    budget = round(min(sizes) + share * (max(sizes) - min(sizes)))
    found = within_size(OFFERS, budget)
    best = min(each.loss for each in choices if each.bytes <= budget)
    assert found.bytes <= budget
    assert found.loss <= best * 1.01 + 1e-12
    assert within_loss(OFFERS, best * 1.0001 + 1e-12).bytes <= budget * 1.01


def test_what_cannot_be_met_is_told_with_what_could() -> None:
    least = sum(min(each.bytes.values()) for each in OFFERS)
    told = rf"take {least + 100:,} bytes at least \(100 of them in fp16 .*, and {least + 99:,} are allowed"
    with pytest.raises(CompressError, match=told):
        within_size(OFFERS, least + 99, 100)
    assert within_size(OFFERS, least + 100, 100).bytes == least
    with pytest.raises(CompressError, match="predicted to lose"):
        within_loss([Offer("w", {FORMS[0]: 1}, {FORMS[0]: 0.5})], 0.1)


def test_the_frontier_grows_in_size_and_falls_in_loss() -> None:
    points = frontier(OFFERS)
    assert len(points) > 5
    assert all(a.bytes <= b.bytes and a.loss >= b.loss for a, b in pairwise(points))
    assert points[-1].loss == 0
