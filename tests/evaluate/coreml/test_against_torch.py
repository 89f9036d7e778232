"""Networks' heavy ops against torch, which shares no code with the evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
functional = torch.nn.functional
RNG = np.random.default_rng(11)


def array(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def tensor(value: np.ndarray) -> Any:
    return torch.from_numpy(value)


CONVOLUTIONS = [
    # input, weight, strides, dilations, groups
    ((2, 4, 9), (6, 4, 3), [1], [1], 1),
    ((2, 4, 9), (4, 1, 3), [2], [1], 4),
    ((1, 6, 8, 7), (4, 3, 3, 2), [2, 1], [1, 2], 2),
    ((2, 5, 6, 6), (7, 5, 1, 1), [1, 1], [1, 1], 1),
    ((1, 4, 5, 6, 5), (2, 4, 2, 3, 1), [1, 2, 1], [1, 1, 1], 1),
    ((1, 4, 9, 9), (4, 1, 3, 3), [1, 1], [2, 2], 4),
    ((1, 4, 9), (8, 1, 3), [1], [1], 4),
]
FUNCTIONS = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}
TRANSPOSED = {3: functional.conv_transpose1d, 4: functional.conv_transpose2d, 5: functional.conv_transpose3d}


@pytest.mark.parametrize(("x", "weight", "strides", "dilations", "groups"), CONVOLUTIONS)
def test_conv(check: Any, x: Any, weight: Any, strides: Any, dilations: Any, groups: int) -> None:
    data, kernel, bias = array(*x), array(*weight), array(weight[0])
    common = {"strides": strides, "dilations": dilations, "groups": groups}
    expected = FUNCTIONS[len(x)](tensor(data), tensor(kernel), tensor(bias), strides, 0, dilations, groups).numpy()
    check("conv", expected, x=data, weight=kernel, bias=bias, pad_type="valid", atol=1e-5, **common)
    pad = [2, 1] + [1, 0] * (len(x) - 3)
    widths = [n for pair in zip(pad[::2][::-1], pad[1::2][::-1], strict=True) for n in pair]
    padded = functional.pad(tensor(data), widths)
    expected = FUNCTIONS[len(x)](padded, tensor(kernel), None, strides, 0, dilations, groups).numpy()
    check("conv", expected, x=data, weight=kernel, pad_type="custom", pad=pad, atol=1e-5, **common)


@pytest.mark.parametrize(("size", "kernel", "stride"), [(9, 3, 2), (8, 4, 1), (8, 4, 3), (7, 2, 2)])
def test_same_padding_puts_the_odd_element_behind_and_same_lower_in_front(
    check: Any, size: int, kernel: int, stride: int
) -> None:
    data, weight = array(1, 2, size), array(3, 2, kernel)
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    for pad_type, before in (("same", total // 2), ("same_lower", total - total // 2)):
        padded = functional.pad(tensor(data), (before, total - before))
        expected = functional.conv1d(padded, tensor(weight), stride=stride).numpy()
        assert expected.shape[-1] == -(-size // stride)
        check("conv", expected, x=data, weight=weight, pad_type=pad_type, strides=[stride], atol=1e-5)


@pytest.mark.parametrize(
    ("x", "weight", "strides", "dilations", "groups"),
    [
        ((2, 4, 5), (4, 3, 3), [2], [1], 1),
        ((1, 4, 4, 5), (4, 2, 3, 2), [2, 3], [1, 2], 2),
        ((1, 3, 3, 3, 2), (3, 2, 2, 2, 2), [1, 2, 2], [1, 1, 1], 1),
    ],
)
def test_conv_transpose(check: Any, x: Any, weight: Any, strides: Any, dilations: Any, groups: int) -> None:
    data, kernel, bias = array(*x), array(*weight), array(weight[1] * groups)
    common = {"strides": strides, "dilations": dilations, "groups": groups}
    run = TRANSPOSED[len(x)]
    expected = run(tensor(data), tensor(kernel), tensor(bias), strides, 0, 0, groups, dilations).numpy()
    check("conv_transpose", expected, x=data, weight=kernel, bias=bias, atol=1e-5, **common)
    pad = [1, 1] * (len(x) - 2)
    cropped = run(tensor(data), tensor(kernel), None, strides, 1, 0, groups, dilations).numpy()
    check("conv_transpose", cropped, x=data, weight=kernel, pad_type="custom", pad=pad, atol=1e-5, **common)
    longer = run(tensor(data), tensor(kernel), None, strides, 1, [s - 1 for s in strides], groups, dilations).numpy()
    check(
        "conv_transpose",
        longer,
        x=data,
        weight=kernel,
        pad_type="custom",
        pad=pad,
        output_shape=list(longer.shape),
        atol=1e-5,
        **common,
    )


def test_conv_transpose_with_same_padding_multiplies_the_size(check: Any) -> None:
    data, kernel = array(1, 2, 5), array(2, 3, 4)
    full = functional.conv_transpose1d(tensor(data), tensor(kernel), stride=2).numpy()
    check("conv_transpose", full[:, :, 1:11], x=data, weight=kernel, strides=[2], pad_type="same", atol=1e-5)


POOLS = [([3], [2], [1, 1]), ([2], [1], [0, 0]), ([3, 2], [2, 2], [1, 1, 1, 1]), ([2, 3], [3, 1], [0, 0, 1, 1])]


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("kernel", "strides", "pad"), POOLS)
def test_pooling(check: Any, kernel: list[int], strides: list[int], pad: list[int], ceil_mode: bool) -> None:
    rank = len(kernel)
    x = array(2, 3, *(8, 7)[:rank])
    maximum = (functional.max_pool1d, functional.max_pool2d)[rank - 1]
    mean = (functional.avg_pool1d, functional.avg_pool2d)[rank - 1]
    window = {"x": x, "kernel_sizes": kernel, "strides": strides, "pad_type": "custom", "pad": pad}
    window["ceil_mode"] = ceil_mode
    around = pad[::2]
    check("max_pool", maximum(tensor(x), kernel, strides, around, ceil_mode=ceil_mode).numpy(), **window)
    for counted in (True, False):
        expected = mean(tensor(x), kernel, strides, around, ceil_mode, counted).numpy()
        check("avg_pool", expected, exclude_padding_from_average=not counted, **window)
    squares = mean(tensor(x * x), kernel, strides, around, ceil_mode, True).numpy()
    if not ceil_mode:
        check("l2_pool", np.sqrt(squares * np.prod(kernel)), **window)


def test_normalisation(check: Any) -> None:
    x, gamma, beta = array(2, 6, 4, 5), array(6), array(6)
    mean, variance = array(6), np.abs(array(6)) + np.float32(0.1)
    expected = functional.batch_norm(*map(tensor, (x, mean, variance, gamma, beta)), eps=1e-3).numpy()
    check("batch_norm", expected, x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=1e-3, atol=1e-5)
    expected = functional.instance_norm(tensor(x), weight=tensor(gamma), bias=tensor(beta), eps=1e-3).numpy()
    check("instance_norm", expected, x=x, gamma=gamma, beta=beta, epsilon=1e-3, atol=1e-5)
    gain, shift = array(4, 5), array(4, 5)
    expected = functional.layer_norm(tensor(x), (4, 5), tensor(gain), tensor(shift), 1e-3).numpy()
    check("layer_norm", expected, x=x, axes=[-1, 2], gamma=gain, beta=shift, epsilon=1e-3, atol=1e-5)
    across = functional.layer_norm(tensor(x).movedim(1, -1), (6,), tensor(gamma), None, 1e-5).movedim(-1, 1).numpy()
    check("layer_norm", across, x=x, axes=[1], gamma=gamma, atol=1e-5)
    expected = functional.local_response_norm(tensor(x), 3, 0.2, 0.6, 1.5).numpy()
    check("local_response_norm", expected, x=x, size=3, alpha=0.2, beta=0.6, k=1.5)


GATES = [0, 1, 3, 2]
"""torch orders the gates of an LSTM input, forget, cell, output; MIL puts the cell last."""


def reordered(weight: Any, order: list[int]) -> np.ndarray:
    parts = np.split(weight.detach().numpy(), len(order))
    return np.concatenate([parts[k] for k in order])


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("output_sequence", [True, False])
def test_lstm(check: Any, direction: str, output_sequence: bool) -> None:
    both = direction == "bidirectional"
    torch.manual_seed(0)
    layer = torch.nn.LSTM(3, 4, bidirectional=both)
    x, h, c = array(5, 2, 3), array(1 + both, 2, 4), array(1 + both, 2, 4)
    source = np.ascontiguousarray(x[::-1]) if direction == "reverse" else x
    with torch.no_grad():
        y, (h_last, c_last) = (
            v if isinstance(v, tuple) else v.numpy() for v in layer(tensor(source), (tensor(h), tensor(c)))
        )
    side = {
        "weight_ih": reordered(layer.weight_ih_l0, GATES),
        "weight_hh": reordered(layer.weight_hh_l0, GATES),
        "bias": reordered(layer.bias_ih_l0 + layer.bias_hh_l0, GATES),
    }
    if both:
        side["weight_ih_back"] = reordered(layer.weight_ih_l0_reverse, GATES)
        side["weight_hh_back"] = reordered(layer.weight_hh_l0_reverse, GATES)
        side["bias_back"] = reordered(layer.bias_ih_l0_reverse + layer.bias_hh_l0_reverse, GATES)

    def joined(state: Any) -> np.ndarray:
        return np.concatenate(list(np.asarray(state)), axis=-1)

    expected = (y if output_sequence else joined(h_last)[None], joined(h_last), joined(c_last))
    options = {"direction": direction, "output_sequence": output_sequence}
    check("lstm", expected, x=x, initial_h=joined(h), initial_c=joined(c), **side, **options)


def test_gru_with_the_reset_after_the_product(check: Any) -> None:
    torch.manual_seed(0)
    layer = torch.nn.GRU(3, 4)
    x, h = array(5, 2, 3), array(1, 2, 4)
    with torch.no_grad():
        y, last = (v.numpy() for v in layer(tensor(x), tensor(h)))
    order = [0, 2, 1]  # torch: reset, update, new; MIL: reset, output, update
    weights = {
        "weight_ih": reordered(layer.weight_ih_l0, order),
        "weight_hh": reordered(layer.weight_hh_l0, order),
        "bias": reordered(layer.bias_hh_l0, order),
        "input_bias": reordered(layer.bias_ih_l0, order),
    }
    check("gru", (y, last[0]), x=x, initial_h=h[0], reset_after=True, output_sequence=True, **weights)


def test_rnn(check: Any) -> None:
    torch.manual_seed(0)
    layer = torch.nn.RNN(3, 4, nonlinearity="relu")
    x, h = array(5, 2, 3), array(1, 2, 4)
    with torch.no_grad():
        y, last = (v.numpy() for v in layer(tensor(x), tensor(h)))
        bias = (layer.bias_ih_l0 + layer.bias_hh_l0).numpy()
    weights = {"weight_ih": layer.weight_ih_l0.detach().numpy(), "weight_hh": layer.weight_hh_l0.detach().numpy()}
    options = {"activation": "relu", "output_sequence": True, "bias": bias}
    check("rnn", (y, last[0]), x=x, initial_h=h[0], **weights, **options)


@pytest.mark.parametrize("mask", [None, "bool", "float"])
def test_attention(check: Any, mask: str | None) -> None:
    query, key, value = array(2, 3, 4, 8), array(2, 3, 5, 8), array(2, 3, 5, 6)
    operands = {"query": query, "key": key, "value": value}
    if mask is not None:
        kept = np.tril(np.ones((4, 5), bool))
        operands["attn_mask"] = kept if mask == "bool" else array(4, 5)
    expected = functional.scaled_dot_product_attention(*map(tensor, operands.values())).numpy()
    check("scaled_dot_product_attention", expected, **operands)


def test_resizing(check: Any) -> None:
    x = array(2, 3, 5, 7)
    for aligned, mode in ((True, "STRICT_ALIGN_CORNERS"), (False, "UNALIGN_CORNERS")):
        expected = functional.interpolate(tensor(x), (8, 4), mode="bilinear", align_corners=aligned).numpy()
        check("resize_bilinear", expected, x=x, target_size_height=8, target_size_width=4, sampling_mode=mode)
        doubled = functional.interpolate(tensor(x), (10, 21), mode="bilinear", align_corners=aligned).numpy()
        check("upsample_bilinear", doubled, x=x, scale_factor_height=2, scale_factor_width=3, align_corners=aligned)
    nearest = functional.interpolate(tensor(x), (8, 4), mode="nearest-exact").numpy()
    check("resize_nearest_neighbor", nearest, x=x, target_size_height=8, target_size_width=4)
    doubled = functional.interpolate(tensor(x), (10, 21), mode="nearest").numpy()
    check("upsample_nearest_neighbor", doubled, x=x, scale_factor_height=2, scale_factor_width=3)


def test_pixel_shuffles(check: Any) -> None:
    x = array(2, 8, 4, 6)
    check("pixel_shuffle", functional.pixel_shuffle(tensor(x), 2).numpy(), x=x, upscale_factor=2)
    check("pixel_unshuffle", functional.pixel_unshuffle(tensor(x), 2).numpy(), x=x, downscale_factor=2)


SAMPLING = [("zeros", True, "constant"), ("border", False, "border"), ("reflection", True, "reflection"),
            ("reflection", False, "symmetric")]  # fmt: skip


@pytest.mark.parametrize(("theirs", "aligned", "ours"), SAMPLING)
@pytest.mark.parametrize("sampling", ["bilinear", "nearest"])
def test_resampling(check: Any, theirs: str, aligned: bool, ours: str, sampling: str) -> None:
    x, places = array(2, 3, 5, 6), array(2, 4, 7, 2)
    settings = {"mode": sampling, "padding_mode": theirs, "align_corners": aligned}
    expected = functional.grid_sample(tensor(x), tensor(places), **settings).numpy()
    common = {"sampling_mode": sampling, "padding_mode": ours, "padding_value": 0.0, "align_corners": aligned}
    mode = "normalized_minus_one_to_one"
    check("resample", expected, x=x, coordinates=places, coordinates_mode=mode, atol=1e-4, **common)
    shares = (places + 1) / 2
    check("resample", expected, x=x, coordinates=shares, coordinates_mode="normalized_zero_to_one", atol=1e-4, **common)


def test_affine(check: Any) -> None:
    x, matrix = array(2, 3, 5, 6), array(2, 6)
    grid = functional.affine_grid(tensor(matrix).reshape(2, 2, 3), (2, 3, 4, 7), align_corners=True)
    expected = functional.grid_sample(tensor(x), grid, align_corners=True).numpy()
    modes = {"sampling_mode": "bilinear", "padding_mode": "constant", "coordinates_mode": "normalized_minus_one_to_one"}
    options = {"output_height": 4, "output_width": 7, "padding_value": 0.0, "align_corners": True}
    check("affine", expected, x=x, transform_matrix=matrix, atol=1e-4, **modes, **options)
