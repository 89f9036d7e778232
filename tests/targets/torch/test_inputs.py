"""What weights are multiplied with is seen however a function of torch is called."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mctc.targets.torch.inputs import Inputs


def rows_of(call: object, weight: Tensor, x: Tensor) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    with Inputs({"w": weight}, lambda _, rows: found.append(rows)):
        call(x, weight)  # type: ignore[operator]
    return found


@pytest.mark.parametrize(
    "call",
    [
        lambda x, w: torch.conv2d(x, w, None, 2, 1, 1, 1),
        lambda x, w: F.conv2d(x, w, stride=(2, 2), padding=1),
        lambda x, w: F.conv2d(input=x, weight=w, padding=(1, 1), stride=2, groups=1),
    ],
)
def test_a_convolution_gives_its_patches(call: object) -> None:
    x, weight = torch.randn(1, 3, 6, 8), torch.randn(4, 3, 3, 3)
    (rows,) = rows_of(call, weight, x)
    product = torch.from_numpy(rows) @ weight.flatten(1).T
    expected = F.conv2d(x, weight, stride=2, padding=1).flatten(2)[0].T
    torch.testing.assert_close(product, expected, rtol=1e-4, atol=1e-4)


def test_depthwise_kernels_have_no_rows_however_they_are_called() -> None:
    x, weight = torch.randn(1, 3, 1, 5), torch.randn(3, 1, 1, 2)
    assert rows_of(lambda x, w: F.conv2d(F.pad(x, (1, 0)), w, groups=3), weight, x) == []


@pytest.mark.parametrize("call", [F.linear, lambda x, w: F.linear(x, weight=w, bias=None)])
def test_a_layer_gives_what_it_reads(call: object) -> None:
    x = torch.randn(2, 5, 3)
    (rows,) = rows_of(call, torch.randn(4, 3), x)
    assert np.array_equal(rows, x.reshape(-1, 3).numpy())
