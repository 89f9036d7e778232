"""Convolutions that are computed in runs of windows, and transposed ones many taps at a time, against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml.ops.convolution import conv, conv_transpose
from mctc.evaluate.coreml.ops.window_products import by_bands, by_columns, run_length

torch = pytest.importorskip("torch")
functional = torch.nn.functional
CONV = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}
TRANSPOSED = {3: functional.conv_transpose1d, 4: functional.conv_transpose2d}

WIDE = [
    # input, weight, strides, dilations, groups
    ((1, 1, 20000), (1, 1, 64), [1], [1], 1),
    ((2, 1, 30000), (2, 1, 61), [2], [1], 1),
    ((1, 2, 18001), (2, 2, 33), [1], [3], 1),
    ((1, 3, 36, 700), (4, 3, 3, 39), [1, 1], [1, 1], 1),
    ((2, 4, 50, 900), (2, 2, 2, 21), [2, 3], [1, 2], 2),
    ((1, 64, 1, 500), (64, 1, 1, 31), [1, 1], [1, 1], 64),
    ((1, 2, 12, 15, 600), (2, 2, 2, 2, 17), [1, 2, 1], [1, 1, 2], 1),
]


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("x", "weight", "strides", "dilations", "groups"), WIDE)
def test_a_wide_kernel_goes_in_runs_and_gives_what_torch_gives(
    x: Any, weight: Any, strides: Any, dilations: Any, groups: int
) -> None:
    data, kernel = array(*x), array(*weight)
    run = CONV[len(x)]
    expected = run(torch.from_numpy(data), torch.from_numpy(kernel), None, strides, 0, dilations, groups).numpy()
    assert run_length(data, kernel, expected.shape[2:], strides[-1], dilations[-1], groups) > 0
    found = conv(data, kernel, strides=strides, dilations=dilations, groups=groups)
    np.testing.assert_allclose(found, expected, atol=5e-5)


@pytest.mark.parametrize("count", [8, 32])
def test_runs_of_any_length_give_what_columns_give(count: int) -> None:
    data, kernel = array(2, 4, 3, 77), array(6, 2, 2, 5)
    common = ([1, 2], [1, 3], 2)
    found = by_bands(data, kernel, *common, count)
    np.testing.assert_allclose(found, by_columns(data, kernel, *common), atol=1e-5)


def test_many_channels_and_few_results_are_multiplied_by_columns() -> None:
    assert run_length(array(1, 128, 400), array(128, 128, 3), [398], 1, 1, 1) == 0
    assert run_length(array(1, 1, 200), array(1, 1, 64), [137], 1, 1, 1) == 0


def test_an_infinity_reaches_its_own_windows_and_no_others() -> None:
    data, kernel = array(1, 1, 20000), array(1, 1, 64)
    data[0, 0, 10000] = np.inf
    found = conv(data, kernel)[0, 0]
    (touched,) = np.nonzero(~np.isfinite(found))
    assert touched.tolist() == list(range(10000 - 63, 10001))


@pytest.mark.parametrize(
    ("x", "weight", "strides", "groups"),
    [
        ((1, 6, 40), (6, 1, 16), [4], 1),
        ((2, 4, 9), (4, 2, 7), [3], 2),
        ((1, 4, 5, 6), (4, 3, 3, 5), [2, 4], 1),
        ((1, 4, 5, 6), (4, 3, 8, 1), [4, 1], 1),
        ((1, 2, 7), (2, 2, 2), [5], 1),
    ],
)
def test_a_transposed_convolution_takes_the_taps_of_a_stride_at_once(
    x: Any, weight: Any, strides: Any, groups: int
) -> None:
    data, kernel = array(*x), array(*weight)
    expected = TRANSPOSED[len(x)](
        torch.from_numpy(data), torch.from_numpy(kernel), None, strides, groups=groups
    ).numpy()
    found = conv_transpose(data, kernel, strides=strides, groups=groups)
    np.testing.assert_allclose(found, expected, atol=1e-5)
