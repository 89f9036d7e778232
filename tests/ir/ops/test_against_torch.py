"""Ops against torch's own: dense, convolutions, norms, recurrent cells, attention. Both kinds of types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional
RNG = np.random.default_rng(7)
BTC = "batch time channel"


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def t(array: np.ndarray) -> Any:
    return torch.from_numpy(np.ascontiguousarray(array))


def plain(array: np.ndarray) -> tuple[np.ndarray, str]:
    return array, " ".join(["plain"] * array.ndim)


@pytest.mark.parametrize("biased", [True, False])
def test_linear(bench: Any, biased: bool) -> None:
    x, w, b = normal(2, 5, 4), normal(3, 4), normal(3)
    want = F.linear(t(x), t(w), t(b) if biased else None)
    bench.agree("linear", [(x, BTC), plain(w), plain(b) if biased else None], [want])


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "groups", "pad"),
    [(1, 1, 1, 1, (0, 0)), (3, 1, 1, 1, (2, 0)), (3, 2, 1, 2, (1, 1)), (4, 1, 2, 6, (3, 3)), (2, 3, 1, 3, (0, 5))],
)
def test_conv1d(bench: Any, kernel: int, stride: int, dilation: int, groups: int, pad: tuple[int, int]) -> None:
    x, w, b = normal(2, 11, 6), normal(12, 6 // groups, kernel), normal(12)
    padded = F.pad(t(x).transpose(1, 2), pad)
    want = F.conv1d(padded, t(w), t(b), stride=stride, dilation=dilation, groups=groups).transpose(1, 2)
    attributes = {"stride": stride, "dilation": dilation, "groups": groups, "pad": list(pad)}
    bench.agree("conv1d", [(x, BTC), plain(w), plain(b)], [want], **attributes)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "groups", "pad", "pad_feature"),
    [
        ((3, 3), (2, 2), (1, 1), 1, (2, 0), (1, 1)),
        ((1, 4), (1, 1), (1, 2), 4, (6, 0), (0, 0)),
        ((2, 3), (3, 1), (2, 1), 2, (0, 1), (0, 2)),
    ],
)
def test_conv2d(bench: Any, kernel: Any, stride: Any, dilation: Any, groups: int, pad: Any, pad_feature: Any) -> None:
    x, w, b = normal(2, 9, 8, 4), normal(4, 4 // groups, *kernel), normal(4)
    moved = t(x).permute(0, 3, 2, 1)  # batch, channel, feature, time
    padded = F.pad(moved, (*pad, *pad_feature))
    want = F.conv2d(padded, t(w), t(b), stride=stride, dilation=dilation, groups=groups).permute(0, 3, 2, 1)
    attributes = {"stride": stride, "dilation": dilation, "groups": groups, "pad": pad, "pad_feature": pad_feature}
    bench.agree("conv2d", [(x, "batch time feature channel"), plain(w), plain(b)], [want], **attributes)


def test_embedding(bench: Any) -> None:
    token, table = RNG.integers(0, 9, (2, 5)), normal(9, 3)
    bench.agree("embedding", [(token, "batch label"), plain(table)], [F.embedding(t(token), t(table))])


def test_matmul(bench: Any) -> None:
    left, right = normal(2, 3, 4, 5), normal(1, 3, 5, 6)
    want = torch.matmul(t(left), t(right))
    bench.agree("matmul", [(left, "batch channel feature time"), plain(right)], [want], both=False)
    want = torch.matmul(t(left), t(right[0, 0]))
    bench.agree("matmul", [(left, "batch channel feature time"), plain(right[0, 0])], [want], both=False)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("roles", [BTC, "batch time feature channel"])
def test_norms(bench: Any, affine: bool, roles: str) -> None:
    x, w, b = normal(2, 5, *([3] * (len(roles.split()) - 3)), 4), normal(4), normal(4)
    mean, variance = normal(4), RNG.uniform(0.5, 2, 4)
    weight, bias = (plain(w), plain(b)) if affine else (None, None)
    tw, tb = (t(w), t(b)) if affine else (None, None)
    bench.agree("layer_norm", [(x, roles), weight, bias], [F.layer_norm(t(x), (4,), tw, tb, 1e-3)], epsilon=1e-3)
    bench.agree("rms_norm", [(x, roles), weight], [F.rms_norm(t(x), (4,), tw, 1e-5)])
    want = F.batch_norm(t(x).movedim(-1, 1), t(mean), t(variance), tw, tb).movedim(1, -1)
    bench.agree("batch_norm", [(x, roles), plain(mean), plain(variance), weight, bias], [want])


def test_softmaxes(bench: Any) -> None:
    x = normal(2, 5, 3, 4) * 30
    roles = "batch time feature channel"
    bench.agree("softmax", [(x, roles)], [torch.softmax(t(x), -1)])
    bench.agree("softmax", [(x, roles)], [torch.softmax(t(x), 2)], axis="feature")
    bench.agree("log_softmax", [(x, roles)], [torch.log_softmax(t(x), -1)])


@pytest.mark.parametrize("name", ["gelu", "silu", "softplus", "sigmoid", "relu", "tanh"])
def test_activations(bench: Any, name: str) -> None:
    x = np.concatenate([normal(2, 5, 4), np.full((2, 1, 4), 60.0), np.full((2, 1, 4), -60.0)], 1)
    bench.agree(name, [(x, BTC)], [getattr(F, name)(t(x))])


@pytest.mark.parametrize("name", ["lstm", "gru"])
@pytest.mark.parametrize("roles", [BTC, "batch label channel"])
@pytest.mark.parametrize("stateful", [True, False])
def test_recurrent_cells(bench: Any, name: str, roles: str, stateful: bool) -> None:
    gates = {"lstm": 4, "gru": 3}[name]
    x, h, c = normal(2, 6, 3), normal(2, 5), normal(2, 5)
    ih, hh, bi, bh = normal(gates * 5, 3), normal(gates * 5, 5), normal(gates * 5), normal(gates * 5)
    cell = getattr(torch.nn, name.upper())(3, 5, batch_first=True, dtype=torch.float64)
    cell.load_state_dict({"weight_ih_l0": t(ih), "weight_hh_l0": t(hh), "bias_ih_l0": t(bi), "bias_hh_l0": t(bh)})
    starts = (t(h)[None], t(c)[None]) if name == "lstm" else t(h)[None]
    with torch.no_grad():
        y, last = cell(t(x), starts if stateful else None)
    ends = [s[0] for s in last] if name == "lstm" else [last[0]]
    biases = [plain(bi + bh)] if name == "lstm" else [plain(bi), plain(bh)]
    states = [(s, "batch channel") for s in ((h, c) if name == "lstm" else (h,))] if stateful else []
    bench.agree(name, [(x, roles), plain(ih), plain(hh), *biases, *states], [y, *ends])


@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 0), (4, 0), (4, 2), (4, 1)])
@pytest.mark.parametrize(("left", "right"), [(None, None), (None, 0), (2, 1), (0, 0)])
@pytest.mark.parametrize("masked", [True, False])
def test_attention(bench: Any, heads: int, kv_heads: int, left: int | None, right: int | None, masked: bool) -> None:
    kv = kv_heads or heads
    q, k, v = normal(2, 7, heads * 3), normal(2, 7, kv * 3), normal(2, 7, kv * 5)
    offset = np.arange(7)[None, :] - np.arange(7)[:, None]
    seen = (offset >= (-99 if left is None else -left)) & (offset <= (99 if right is None else right))
    mask = np.array([1.0, 1, 1, 1, 1, 0, 1])
    if masked:
        seen = seen & (mask > 0)
    split = [
        t(a).unflatten(-1, (n, -1)).transpose(1, 2).repeat_interleave(heads // n, 1)
        for a, n in ((q, heads), (k, kv), (v, kv))
    ]
    want = F.scaled_dot_product_attention(*split, attn_mask=t(seen)).transpose(1, 2).flatten(2).numpy()
    want[:, ~seen.any(-1)] = _blind(split[2].numpy(), offset, left, right)[:, ~seen.any(-1)]
    operands = [(q, BTC), (k, BTC), (v, BTC), (mask, "time") if masked else None]
    attributes = {"heads": heads, "kv_heads": kv_heads, "left": left, "right": right}
    bench.agree("attention", operands, [want], **attributes)


def _blind(v: np.ndarray, offset: np.ndarray, left: int | None, right: int | None) -> np.ndarray:
    """What a query gets that sees no key: the mean over its band [batch, frames, heads * width]."""
    band = (offset >= (-99 if left is None else -left)) & (offset <= (99 if right is None else right))
    weights = band / band.sum(-1, keepdims=True)
    return np.einsum("ts,bhsw->bthw", weights, v).reshape(v.shape[0], v.shape[2], -1)


@pytest.mark.parametrize("right", [None, 0])
def test_attention_within_blocks_is_one_of_each_block(bench: Any, right: int | None) -> None:
    q, k, v = normal(2, 8, 4), normal(2, 8, 4), normal(2, 8, 6)
    blocks = [slice(0, 3), slice(3, 6), slice(6, 8)]
    split = [t(a).unflatten(-1, (2, -1)).transpose(1, 2) for a in (q, k, v)]
    parts = [F.scaled_dot_product_attention(*(a[:, :, at] for a in split), is_causal=right == 0) for at in blocks]
    want = torch.cat(parts, 2).transpose(1, 2).flatten(2)
    bench.agree("attention", [(q, BTC), (k, BTC), (v, BTC)], [want], heads=2, right=right, within=3)


@pytest.mark.parametrize("before", [1, 4])
def test_attention_within_blocks_sees_frames_before_its_own(bench: Any, before: int) -> None:
    q, k, v = normal(2, 8, 4), normal(2, 8, 4), normal(2, 8, 6)
    split = [t(a).unflatten(-1, (2, -1)).transpose(1, 2) for a in (q, k, v)]
    parts = []
    for begin in (0, 3, 6):
        seen = slice(max(0, begin - before), begin + 3)
        parts.append(
            F.scaled_dot_product_attention(split[0][:, :, begin : begin + 3], *(a[:, :, seen] for a in split[1:]))
        )
    want = torch.cat(parts, 2).transpose(1, 2).flatten(2)
    bench.agree("attention", [(q, BTC), (k, BTC), (v, BTC)], [want], heads=2, within=3, before=before)


def test_attention_to_another_sequence(bench: Any) -> None:
    q, k, v = normal(2, 3, 8), normal(2, 7, 8), normal(2, 7, 8)
    split = [t(a).unflatten(-1, (2, -1)).transpose(1, 2) for a in (q, k, v)]
    want = F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
    bench.agree("attention", [(q, "batch label channel"), (k, BTC), (v, BTC)], [want], heads=2)


def test_attention_whose_context_is_handed_to_it(bench: Any) -> None:
    q, k, v = normal(1, 8, 4), normal(1, 8, 4), normal(1, 8, 4)
    split = [t(a).unflatten(-1, (2, -1)).transpose(1, 2) for a in (q, k, v)]
    offset = np.arange(8)[None, :] - np.arange(8)[:, None]
    whole = F.scaled_dot_product_attention(*split, attn_mask=t((offset >= -2) & (offset <= 1)))
    want = whole.transpose(1, 2).flatten(2)[:, 2:7]
    attributes = {"heads": 2, "left": 2, "right": 1, "given": True}
    bench.agree("attention", [(q[:, 2:7], BTC), (k, BTC), (v, BTC)], [want], **attributes)
