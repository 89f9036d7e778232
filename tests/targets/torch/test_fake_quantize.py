"""Fake quantisation: the weights of the forward pass are the package's, bit for bit; gradients pass through it."""

from __future__ import annotations

import copy
import importlib
import io
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mctc.emit.imported import imported
from mctc.targets.torch.runtime import fake_quantize
from mctc.targets.torch.runtime.fake_quantize import (
    FakeQuantizer,
    Quantize,
    quantization_report,
    scale_of,
    set_quantization,
)
from mctc.targets.torch.support import RUNTIME

from .fake_quantize_cases import (
    INT4,
    INT8,
    PALETTE,
    SCHEMES,
    Layer,
    assert_is_the_packages,
    assert_measured,
    quantizer,
    weight,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Hundreds of small tensors: on a busy machine a second thread is only waited for."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


MAGNITUDES = [1e-9, 3e-8, 1e-6, 1e-4, 0.05, 1.0, 300.0, 15000.0]


@st.composite
def weights(draw: st.DrawFn) -> tuple[Tensor, Quantize]:
    """Weights of rank 1 to 4 with channels of many magnitudes, and a scheme, group and axis that fit them."""
    scheme = draw(st.sampled_from(["int8", "int4", "palette"]))
    bits = {"int8": 8, "int4": 4}.get(scheme) or draw(st.sampled_from([1, 2, 3, 4, 6, 8]))
    rank = draw(st.integers(1, 4))
    axis = draw(st.integers(0, min(rank - 1, 1)))
    group = draw(st.sampled_from([None, 1, 2, 3])) if scheme == "palette" else None
    shape = [draw(st.integers(1, 7)) for _ in range(rank)]
    if draw(st.booleans()):
        shape[-1] *= 40
    shape[axis] *= group or 1
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels = [shape[axis] if i == axis else 1 for i in range(rank)]
    values = rng.normal(size=shape) * rng.choice(draw(st.lists(st.sampled_from(MAGNITUDES), min_size=1)), channels)
    if draw(st.booleans()):  # few different values: quantiles repeat
        values = np.round(values * 8) / 8
    values = np.where(rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 1.0])), -0.0, values)
    clipped = np.clip(values, -65504, 65504).astype(np.float32)
    return torch.from_numpy(clipped), Quantize(scheme, bits, group, axis)


@settings(deadline=None, max_examples=150)
@given(weights())
def test_the_weight_is_the_one_that_the_package_holds(drawn: tuple[Tensor, Quantize]) -> None:
    assert_is_the_packages(*drawn)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-65504, 65504, width=32), min_size=1, max_size=60),
    st.sampled_from([INT8, INT4, Quantize("palette", 2), Quantize("palette", 6)]),
)
def test_any_numbers_of_a_vector_become_the_packages(values: list[float], how: Quantize) -> None:
    assert_is_the_packages(torch.tensor(values, dtype=torch.float32), how)


@pytest.mark.parametrize(
    ("shape", "how"),
    [
        ((512, 320, 1, 1), INT8),
        ((512, 320, 1, 1), INT4),
        ((96, 1, 1, 31), INT8),
        ((1024, 256), Quantize("int8", 8, axis=1)),
        ((1024, 256), Quantize("palette", 8, axis=1)),
        ((1024, 64), Quantize("palette", 4, 16, axis=1)),
        ((128, 96, 3, 3), Quantize("palette", 6, 16)),
    ],
)
def test_layers_of_a_real_size_become_the_packages(shape: tuple[int, ...], how: Quantize) -> None:
    assert_is_the_packages(weight(*shape), how)


def test_sums_too_large_to_be_exact_are_taken_in_the_packages_order() -> None:
    values = 60000 * torch.rand(1 << 17, generator=torch.Generator().manual_seed(1))
    assert float(values.double().sum()) * 2**24 > 2**53
    assert_is_the_packages(values, Quantize("palette", 4))


def test_a_weight_of_any_strides_will_do() -> None:
    for how in SCHEMES:
        assert_is_the_packages(weight(24, 40).T, how)
        assert_is_the_packages(weight(24, 8, 40)[:, ::2, 1::3], how)


def test_a_channel_of_zeros_and_one_of_fp16_s_smallest_numbers_can_grow() -> None:
    values = weight(4, 8)
    values[1], values[2], values[3] = 0, 1e-7, 1e-9
    values.requires_grad_()
    held = quantizer(INT8)(values)
    assert scale_of(values, INT8).flatten()[1:].tolist() == [1, 2.0**-24, 2.0**-24]
    assert not held[1].any()
    assert held[2].eq(2 * 2.0**-24).all()  # what fp16 would make of it
    assert not held[3].any()
    held.sum().backward()
    assert values.grad is not None
    assert values.grad.eq(1).all()


def test_negative_zero_and_what_rounds_to_it_become_zero() -> None:
    values = torch.tensor([[-0.0, -1e-4, 1.0, 0.5]])
    for how in (INT8, INT4):
        assert not torch.signbit(quantizer(how)(values)[0, :2]).any()


@pytest.mark.parametrize("how", SCHEMES)
def test_gradients_pass_straight_through(how: Quantize) -> None:
    values = weight(16, 24).requires_grad_()
    towards = torch.randn(16, 24)
    (quantizer(how)(values) * towards).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, towards)


def test_gradients_stop_where_codes_are_clipped() -> None:
    step = 2.0**-24  # the smallest fp16 number
    values = torch.tensor([[1.4 * 127, 130.0, 127.4, 60.0, -127.4, -130.0]]) * step
    values.requires_grad_()
    assert scale_of(values, INT8).item() == step
    quantizer(INT8)(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [[0, 0, 1, 1, 1, 0]]


def test_channels_above_the_documented_bounds_are_never_clipped() -> None:
    peaks = torch.linspace(-20, 3, 20001).exp()[:, None]
    for how, levels, bound in ((INT8, 127, 1e-3), (INT4, 7, 3.2e-6)):
        quotient = (peaks / scale_of(peaks, how).float()).squeeze(1)
        clipped = (quotient >= levels + 0.5) & (scale_of(peaks, how).squeeze(1) != 1)
        assert float(peaks.squeeze(1)[clipped].max()) <= bound
        assert clipped.any()


def test_off_and_observe_leave_the_weight_alone() -> None:
    values = nn.Parameter(weight(16, 24))
    for mode in ("off", "observe"):
        for how in SCHEMES:
            assert quantizer(how, mode)(values) is values


def test_modes_are_switched_for_a_whole_model() -> None:
    model = nn.Sequential(Layer(INT8), nn.ReLU(), Layer(PALETTE, 4, 16))
    x = torch.randn(2, 8, 1, 5)
    plain = model(x)
    set_quantization(model, "on")
    quantised = model(x)
    assert not torch.equal(plain, quantised)
    expected = nn.functional.conv2d(x, quantizer(INT8)(model[0].weight)).relu()
    assert torch.equal(quantised, nn.functional.conv2d(expected, quantizer(PALETTE)(model[2].weight)))
    set_quantization(model, "off")
    assert torch.equal(model(x), plain)


def test_a_report_tells_what_each_parameter_loses() -> None:
    model = nn.Sequential(Layer(INT8), Layer(INT4, 8, 16), Layer(PALETTE, 4, 8))
    set_quantization(model, "observe")
    model(torch.randn(1, 8, 1, 3))
    report = quantization_report(model)
    assert [row.name for row in report] == ["0.weight", "1.weight", "2.weight"]
    assert [row.how for row in report] == SCHEMES
    for row, layer in zip(report, model):
        assert_measured(row, layer.weight.detach())
    assert str(report[0]).startswith("0.weight: int8, 4")


@pytest.mark.parametrize(("factor", "snr"), [(0.0, math.inf), (1e-30, 0.0)])
def test_a_report_of_weights_that_vanish(factor: float, snr: float) -> None:
    made = quantizer(INT8, "observe")
    made(factor * weight(4, 8))
    (row,) = quantization_report(made)
    assert row.snr == snr
    assert row.saturated == 0


def test_a_report_before_any_observation_is_refused() -> None:
    model = nn.Sequential(Layer(INT8))
    with pytest.raises(RuntimeError, match=r'0\.weight was not observed: call set_quantization\(model, "observe"\)'):
        quantization_report(model)


def test_the_state_dict_holds_the_weights_alone() -> None:
    model = nn.Sequential(Layer(INT8), Layer(PALETTE, 4, 16))
    for mode in fake_quantize.MODES:
        set_quantization(model, mode)
        model(torch.randn(1, 8, 1, 3))
        assert list(model.state_dict()) == ["0.weight", "1.weight"]
        assert [name for name, _ in model.named_parameters()] == ["0.weight", "1.weight"]


def test_a_model_can_be_copied_and_pickled_in_any_mode() -> None:
    model = nn.Sequential(Layer(INT8), Layer(PALETTE, 4, 16))
    x = torch.randn(1, 8, 1, 3)
    for mode in fake_quantize.MODES:
        set_quantization(model, mode)
        y = model(x)
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        for other in (copy.deepcopy(model), torch.load(file, weights_only=False)):
            assert torch.equal(other(x), y)


def test_a_palette_is_clustered_anew_only_when_the_weight_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    made_anew: list[Quantize] = []
    cluster = fake_quantize._cluster
    monkeypatch.setattr(fake_quantize, "_cluster", lambda half, how: made_anew.append(how) or cluster(half, how))
    values, made = nn.Parameter(weight(16, 24)), FakeQuantizer(PALETTE)
    made.mode = "on"
    first = made(values)
    assert torch.equal(made(values), first)
    made.mode = "observe"
    made(values)
    assert len(made_anew) == 1
    made.mode = "on"
    values.data.mul_(2)  # no version counter sees this
    assert not torch.equal(made(values), first)
    assert len(made_anew) == 2
    with torch.no_grad():
        values.add_(1)
    assert_is_the_packages(values.detach(), PALETTE)
    assert made(values).min() > 0.5


@pytest.mark.parametrize("how", SCHEMES)
@pytest.mark.parametrize("value", [65520.0, -1e9, math.inf, math.nan])
def test_a_weight_that_fp16_cannot_hold_is_refused_by_name(how: Quantize, value: float) -> None:
    model = nn.Sequential(Layer(how))
    for mode in ("observe", "on"):
        set_quantization(model, mode)
        with torch.no_grad():
            model[0].weight[3, 2] = value
        with pytest.raises(ValueError, match=r"0\.weight: the weight has values that are not finite in fp16"):
            model(torch.randn(1, 8, 1, 3))


@pytest.mark.parametrize("value", [66000.0, -1e9, math.inf, math.nan])
def test_without_waiting_for_a_device_such_a_weight_shows_in_the_loss_and_the_report(
    value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what an accelerator does: no check before the arithmetic
    monkeypatch.setattr(fake_quantize, "_compressed", lambda weight, how: fake_quantize._scaled(weight, 127, how.axis))
    model = nn.Sequential(Layer(INT8))
    with torch.no_grad():
        model[0].weight[3, 2] = value
    set_quantization(model, "on")
    assert not model(torch.ones(1, 8, 1, 3)).sum().isfinite()
    set_quantization(model, "observe")
    model(torch.ones(1, 8, 1, 3))
    with pytest.raises(ValueError, match=r"0\.weight: the weight has values that are not finite in fp16"):
        quantization_report(model)


def test_the_largest_number_that_rounds_into_fp16_is_taken() -> None:
    assert_is_the_packages(torch.tensor([65519.99, -3.0]), PALETTE)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("int2", 2), "no scheme 'int2'; there are int8, int4, palette"),
        (("palette", 5), "palette has 1 or 2 or 3 or 4 or 6 or 8 bits, not 5"),
        (("int8", 4), "int8 has 8 bits, not 4"),
    ],
)
def test_what_cannot_be_stored_is_refused(arguments: tuple[str, int], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Quantize(*arguments)


def test_groups_must_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="weight: the weight has 16 output channels, which groups of 5 do not divide"):
        quantizer(Quantize("palette", 4, 5))(weight(16, 8))


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="no quantisation mode 'train'; there are off, observe, on"):
        set_quantization(Layer(INT8), "train")


def test_a_second_copy_of_the_files_works_beside_the_first() -> None:
    with imported(RUNTIME) as package:
        copied = importlib.import_module(f"{package.__name__}.fake_quantize")
        made = copied.FakeQuantizer(copied.Quantize("int4", 4))
        copied.set_quantization(made, "on")
        assert torch.equal(made(weight(8, 8)), quantizer(INT4)(weight(8, 8)))


def test_training_through_it_learns_weights_that_the_package_keeps() -> None:
    torch.manual_seed(0)
    layer, target, x = Layer(INT4), weight(16, 8, 1, 1, seed=5), torch.randn(32, 8, 1, 8)
    wanted = nn.functional.conv2d(x, target)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.2)

    def loss() -> Tensor:
        return nn.functional.mse_loss(layer(x), wanted)

    set_quantization(layer, "on")
    before = loss().item()
    for _ in range(60):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < 0.05 * before
