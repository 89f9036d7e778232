"""examples/speech: the rate is a function of the step, decay is for matrices, the average forgets the start."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from speech.config import Optimizer, Quantize
from speech.optimiser import Average, adamw, rate_of

CONFIG = Optimizer(peak_rate=1.0, floor=0.1, warm_up=10)


def test_the_rate_warms_up_falls_and_begins_again_with_quantised_weights() -> None:
    rates = [rate_of(step, 200, CONFIG, Quantize(from_step=100, peak_rate=0.5)) for step in range(200)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == max(rates[9:12]) > 0.9
    assert rates[50] == pytest.approx(0.55)
    assert rates[99] == pytest.approx(0.1, abs=1e-3)
    assert rates[100] == 0.5
    assert rates[199] == pytest.approx(0.05, abs=1e-3)
    assert rates[11:100] == sorted(rates[11:100], reverse=True)


def test_weights_of_matrices_alone_decay() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LayerNorm(4), nn.Linear(4, 2))
    model.register_parameter("A_log", nn.Parameter(torch.ones(4, 2)))
    decayed, others = adamw(model, CONFIG, fused=False).param_groups
    assert [tuple(each.shape) for each in decayed["params"]] == [(4, 3, 1, 1), (2, 4)]
    assert len(others["params"]) == 5
    assert (decayed["weight_decay"], others["weight_decay"]) == (CONFIG.weight_decay, 0.0)


def test_the_average_follows_the_weights_quickly_at_first() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = Average(model, 0.999)
    with torch.no_grad():
        model.weight.fill_(1.0)
    for step in range(50):
        average.update(model, step)
    assert average.values["weight"].item() == pytest.approx(1.0, abs=1e-3)
    with torch.no_grad():
        model.weight.fill_(2.0)
    average.update(model, 100_000)
    assert average.values["weight"].item() == pytest.approx(1.001, abs=1e-3)
