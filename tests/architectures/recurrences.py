"""Linear attention, the delta rule, xLSTM and RWKV-7 frame by frame in numpy, from their papers' equations.

x is [T, W], w the tensors of one block by their names in it. Every function gives [T, W].
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mctc.ir.op import Array

Weights = Mapping[str, Array]
EPSILON = 2.0**-17  # of norms: near the papers' 1e-5, and a number that fp16 holds


def sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def affine(x: Array, w: Weights, name: str) -> Array:
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)


def rms(x: Array, weight: Array) -> Array:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON) * weight


def heads_of(x: Array, heads: int) -> Array:
    """[T, heads, entries]."""
    return x.reshape(len(x), heads, -1)


def unit(x: Array) -> Array:
    return x / np.sqrt((x**2).sum(-1, keepdims=True) + x.shape[-1] * 2.0**-24)


def gated_linear_attention(x: Array, w: Weights, heads: int, temperature: float = 16) -> Array:
    """Yang et al., 2024, arXiv:2312.06635: S = (alpha^T 1) o S + k^T v, o = q S, equations 3 and 4 and section 4.3."""
    q, k, v = (heads_of(affine(x, w, name), heads) for name in ("q", "k", "v"))
    alpha = heads_of(sigmoid(affine(affine(x, w, "decay_in"), w, "decay")) ** (1 / temperature), heads)
    s, out = np.zeros((heads, k.shape[2], v.shape[2])), []
    for t in range(len(x)):
        s = alpha[t][:, :, None] * s + k[t][:, :, None] * v[t][:, None, :]
        out.append(np.einsum("hn,hnp->hp", q[t] / np.sqrt(k.shape[2]), s))
    o = rms(np.stack(out), w["norm"]).reshape(len(x), -1)
    return affine(o * silu(affine(x, w, "gate")), w, "out_proj")


def delta_net(x: Array, w: Weights, heads: int, gated: bool) -> Array:
    """Yang et al., 2024, arXiv:2406.06484, and 2025, arXiv:2412.06464: S = alpha S (1 - beta k k^T) + beta v k^T."""
    kernel = w["conv.weight"][:, 0]
    padded = np.concatenate([np.zeros((kernel.shape[1] - 1, len(kernel))), affine(x, w, "in_proj")])
    mixed = np.stack([(padded[t : t + kernel.shape[1]].T * kernel).sum(1) for t in range(len(x))])
    q, k, v = (heads_of(part, heads) for part in np.split(silu(mixed), 3, 1))
    beta, alpha = sigmoid(affine(x, w, "strength")), np.ones((len(x), heads))
    if gated:
        alpha = np.exp(-np.exp(w["A_log"]) * np.logaddexp(0, affine(x, w, "decay") + w["dt_bias"]))
    q, k = unit(q) / np.sqrt(k.shape[2]), unit(k)
    s, out = np.zeros((heads, v.shape[2], k.shape[2])), []
    for t in range(len(x)):
        erased = s - beta[t][:, None, None] * np.einsum("hpn,hn,hm->hpm", s, k[t], k[t])
        s = alpha[t][:, None, None] * erased + beta[t][:, None, None] * v[t][:, :, None] * k[t][:, None, :]
        out.append(np.einsum("hpn,hn->hp", s, q[t]))
    o = rms(np.stack(out), w["norm"]).reshape(len(x), -1)
    return affine(o * silu(affine(x, w, "gate")) if gated else o, w, "out_proj")


def mlstm(x: Array, w: Weights, heads: int) -> Array:
    """Beck et al., 2024, arXiv:2405.04517, equations 19 to 27; gates as they are, without a stabiliser, in float64."""
    q, k, v = (heads_of(affine(x, w, name), heads) for name in ("q", "key", "v"))
    k = k / np.sqrt(k.shape[2])
    i, f = np.exp(affine(x, w, "input_gate")), sigmoid(affine(x, w, "forget_gate"))
    c, n, out = np.zeros((heads, v.shape[2], k.shape[2])), np.zeros((heads, k.shape[2])), []
    for t in range(len(x)):
        c = f[t][:, None, None] * c + i[t][:, None, None] * v[t][:, :, None] * k[t][:, None, :]
        n = f[t][:, None] * n + i[t][:, None] * k[t]
        below = np.maximum(np.abs(np.einsum("hn,hn->h", n, q[t])), 1)
        out.append(np.einsum("hpn,hn->hp", c, q[t]) / below[:, None])
    h = np.stack(out)
    h = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + EPSILON) * w["norm"]
    return affine(sigmoid(affine(x, w, "output")) * h.reshape(len(x), -1), w, "out_proj")


def slstm(x: Array, w: Weights, heads: int) -> Array:
    """The same, equations 8 to 18: c = f c + i z, n = f n + i, h = o c / n, gates of x and of h."""
    part = x.shape[1] // heads
    gates = heads_of(affine(x, w, "gates"), heads)
    recurrent = np.stack([w[f"head.{h}.recurrent.weight"] for h in range(heads)])
    h = c = n = np.zeros((heads, part))
    out = []
    for t in range(len(x)):
        z, i, f, o = np.split(gates[t] + np.einsum("hgp,hp->hg", recurrent, h), 4, -1)
        c = sigmoid(f) * c + np.exp(i) * np.tanh(z)
        n = sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        out.append(h)
    return affine(group_normed(np.stack(out), w, "norm", EPSILON), w, "out_proj")


def rwkv7(x: Array, w: Weights, heads: int, first: Array | None = None) -> tuple[Array, Array]:
    """Peng et al., 2025, arXiv:2503.14456, equations 3 to 20: S = S (diag(w) - k^T (a o k)) + v^T k. And the values."""
    shifted = np.concatenate([np.zeros((1, x.shape[1])), x[:-1]]) - x
    r, d, k, v, a, g = (x + shifted * w[f"x_{name}"] for name in "rwkvag")
    own = values = v @ w["value.weight"].T
    if first is not None:
        values = own + (first - own) * sigmoid(w["v0"] + v @ w["v1"] @ w["v2"])
    r, k = r @ w["receptance.weight"].T, k @ w["key.weight"].T
    decay = np.exp(-np.exp(-0.5) * sigmoid(w["w0"] + np.tanh(d @ w["w1"]) @ w["w2"]))
    rate = sigmoid(w["a0"] + a @ w["a1"] @ w["a2"])
    removed = unit(heads_of(k * w["k_k"], heads))
    k = k * (1 + (rate - 1) * w["k_a"])
    r_, k_, v_, a_, w_ = (heads_of(each, heads) for each in (r, k, values, rate, decay))
    s, out = np.zeros((heads, v_.shape[2], k_.shape[2])), []
    for t in range(len(x)):
        replaced = np.einsum("hpn,hn,hm->hpm", s, removed[t], a_[t] * removed[t])
        s = s * w_[t][:, None, :] - replaced + v_[t][:, :, None] * k_[t][:, None, :]
        out.append(np.einsum("hpn,hn->hp", s, r_[t]))
    bonus = heads_of(r * k * w["r_k"], heads).sum(-1, keepdims=True) * v_
    y = group_normed(np.stack(out), w, "ln_x", 64e-5) + bonus.reshape(len(x), -1)
    return (y * (sigmoid(g @ w["g1"]) @ w["g2"])) @ w["output.weight"].T, own


def group_normed(h: Array, w: Weights, name: str, epsilon: float) -> Array:
    """Each head of [T, heads, entries] normalised, [T, W]."""
    h = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + epsilon)
    return h.reshape(len(h), -1) * w[f"{name}.weight"] + w[f"{name}.bias"]
