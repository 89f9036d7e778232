"""Ops of MIL in torch: a second meaning of each, written from coremltools' documentation of it.

Constants come as Python values or arrays, tensors as torch's; an operand that isn't bound is left out, so that the
defaults of the documentation are those of these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional as nn

Tensor = torch.Tensor
DTYPES = {**{f"{sign}int{bits}": torch.int64 for sign in ("", "u") for bits in (8, 16, 32)}, "bool": torch.bool}
"""What a cast makes; every float is one of torch's default type."""


def ints(value: Any) -> list[int]:
    return [int(each) for each in np.asarray(value).reshape(-1)]


def tensor(value: Any) -> Tensor:
    """A tensor of a constant or of a tensor: floats in torch's default type, which the caller sets."""
    found = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    if found.is_floating_point():
        return found.to(torch.get_default_dtype())
    return found if found.dtype == torch.bool else found.to(torch.int64)


def edges(size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], spread: Sequence[int], kind: str,
          pad: Any) -> list[tuple[int, int]]:  # fmt: skip
    """What is added before and behind each spatial axis."""
    if kind == "valid":
        return [(0, 0)] * len(size)
    if kind == "custom":
        listed = ints(pad)
        return list(zip(listed[::2], listed[1::2], strict=True))
    made = []
    for n, k, s, d in zip(size, kernel, strides, spread, strict=True):
        total = max(((n - 1) // s) * s + (k - 1) * d + 1 - n, 0)
        small, large = total // 2, total - total // 2
        made.append((large, small) if kind == "same_lower" else (small, large))
    return made


def padded(x: Tensor, amounts: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    flat = [n for pair in reversed(amounts) for n in pair]
    return nn.pad(x, flat, value=value) if any(flat) else x


def conv(x: Any, weight: Any, strides: Any = None, pad_type: Any = "valid", pad: Any = None, dilations: Any = None,
         groups: Any = 1, bias: Any = None) -> Any:  # fmt: skip
    x, weight = tensor(x), tensor(weight)
    rank = x.ndim - 2
    steps, spread = (
        ints(strides if strides is not None else [1] * rank),
        ints(dilations if dilations is not None else [1] * rank),
    )
    x = padded(x, edges(x.shape[2:], weight.shape[2:], steps, spread, str(pad_type), pad))
    run = (nn.conv1d, nn.conv2d, nn.conv3d)[rank - 1]
    made: Tensor = run(x, weight, None if bias is None else tensor(bias), steps, 0, spread, int(groups))
    return made


def conv_transpose(x: Any, weight: Any, bias: Any = None, pad: Any = None, output_shape: Any = None,
                   pad_type: Any = "valid", strides: Any = None, dilations: Any = None,
                   groups: Any = 1) -> Any:  # fmt: skip
    x, weight = tensor(x), tensor(weight)
    rank = x.ndim - 2
    steps, spread = (
        ints(strides if strides is not None else [1] * rank),
        ints(dilations if dilations is not None else [1] * rank),
    )
    run = (nn.conv_transpose1d, nn.conv_transpose2d, nn.conv_transpose3d)[rank - 1]
    made: Tensor = run(x, weight, None if bias is None else tensor(bias), steps, 0, 0, int(groups), spread)
    cut = ints(pad) if str(pad_type) == "custom" else [0] * (2 * rank)
    if str(pad_type).startswith("same"):
        raise NotImplementedError("conv_transpose with padding 'same'")
    wanted = ints(output_shape)[2:] if output_shape is not None else None
    for axis in range(rank):
        before, behind = cut[2 * axis], cut[2 * axis + 1]
        length = wanted[axis] if wanted else made.shape[2 + axis] - before - behind
        missing = max(before + length - made.shape[2 + axis], 0)
        grown = [(0, 0)] * axis + [(0, missing)] + [(0, 0)] * (rank - axis - 1)
        made = padded(made, grown).narrow(2 + axis, before, length)
    return made


def pooled(
    x: Any, kernel_sizes: Any, strides: Any, pad_type: Any, pad: Any, ceil_mode: Any, empty: float
) -> tuple[Tensor, Any]:
    """Windows of the padded tensor along new last axes, and the number of spatial axes."""
    x, kernel = tensor(x), ints(kernel_sizes)
    steps = ints(strides) if strides is not None else [1] * len(kernel)
    amounts = edges(x.shape[2:], kernel, steps, [1] * len(kernel), str(pad_type), pad)
    if bool(ceil_mode):
        amounts = [
            (before, behind + (-(n + before + behind - k)) % s)
            for (before, behind), n, k, s in zip(amounts, x.shape[2:], kernel, steps, strict=True)
        ]
    x = padded(x, amounts, empty)
    for axis, (size, step) in enumerate(zip(kernel, steps, strict=True)):
        x = x.unfold(2 + axis, size, step)
    return x, len(kernel)


def max_pool(x: Any, kernel_sizes: Any, strides: Any = None, pad_type: Any = "valid", pad: Any = None,
             ceil_mode: Any = False) -> Any:  # fmt: skip
    windows, rank = pooled(x, kernel_sizes, strides, pad_type, pad, ceil_mode, -np.inf)
    return windows.amax(dim=tuple(range(-rank, 0)))


def avg_pool(x: Any, kernel_sizes: Any, strides: Any = None, pad_type: Any = "valid", pad: Any = None,
             exclude_padding_from_average: Any = False, ceil_mode: Any = False) -> Any:  # fmt: skip
    windows, rank = pooled(x, kernel_sizes, strides, pad_type, pad, ceil_mode, 0.0)
    last = tuple(range(-rank, 0))
    if not bool(exclude_padding_from_average):
        return windows.mean(dim=last)
    ones, _ = pooled(torch.ones_like(tensor(x)), kernel_sizes, strides, pad_type, pad, ceil_mode, 0.0)
    return windows.sum(dim=last) / ones.sum(dim=last)


def batch_norm(x: Any, mean: Any, variance: Any, gamma: Any = None, beta: Any = None, epsilon: Any = 1e-5) -> Any:
    x = tensor(x)
    shape = [1, -1, *[1] * (x.ndim - 2)]
    made = (x - tensor(mean).reshape(shape)) / torch.sqrt(tensor(variance).reshape(shape) + float(epsilon))
    made = made if gamma is None else made * tensor(gamma).reshape(shape)
    return made if beta is None else made + tensor(beta).reshape(shape)


def layer_norm(x: Any, axes: Any = None, gamma: Any = None, beta: Any = None, epsilon: Any = 1e-5) -> Any:
    x = tensor(x)
    dims = sorted(each % x.ndim for each in (ints(axes) if axes is not None else range(x.ndim)))
    centred = x - x.mean(dim=dims, keepdim=True)
    made = centred / torch.sqrt((centred * centred).mean(dim=dims, keepdim=True) + float(epsilon))
    shape = [x.shape[each] if each in dims else 1 for each in range(x.ndim)]
    made = made if gamma is None else made * tensor(gamma).reshape(shape)
    return made if beta is None else made + tensor(beta).reshape(shape)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    return nn.linear(tensor(x), tensor(weight), None if bias is None else tensor(bias))


def matmul(x: Any, y: Any, transpose_x: Any = False, transpose_y: Any = False) -> Any:
    x, y = tensor(x), tensor(y)
    return (x.mT if bool(transpose_x) else x) @ (y.mT if bool(transpose_y) else y)


def lstm(x: Any, initial_h: Any, initial_c: Any, weight_ih: Any, weight_hh: Any, bias: Any = None,
         direction: Any = "forward", output_sequence: Any = False, weight_ih_back: Any = None,
         weight_hh_back: Any = None, bias_back: Any = None,
         **settings: Any) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gates in MIL's order: input, forget, output, cell."""
    plain = {"recurrent_activation": "sigmoid", "cell_activation": "tanh", "activation": "tanh"}
    if any(str(settings.get(key, value)) != value for key, value in plain.items()) or "peephole" in settings:
        raise NotImplementedError("lstm with other activations or a peephole")
    sides = [(weight_ih, weight_hh, bias, str(direction) == "reverse")]
    if str(direction) == "bidirectional":
        sides.append((weight_ih_back, weight_hh_back, bias_back, True))
    hidden, cell, size = tensor(initial_h), tensor(initial_c), tensor(weight_hh).shape[1]
    made = []
    for place, (into, over, offset, reverse) in enumerate(sides):
        part = slice(place * size, (place + 1) * size)
        made.append(_lstm_side(tensor(x), hidden[:, part], cell[:, part], into, over, offset, reverse))
    every, last, cells = (torch.cat(parts, dim=-1) for parts in zip(*made, strict=True))
    return (every if bool(output_sequence) else last[None]), last, cells


def _lstm_side(x: Tensor, h: Tensor, c: Tensor, into: Any, over: Any, offset: Any, reverse: bool) -> tuple[Tensor, ...]:
    every = []
    for frame in x.flip(0) if reverse else x:
        gates = nn.linear(frame, tensor(into)) + nn.linear(h, tensor(over))
        gates = gates if offset is None else gates + tensor(offset)
        i, f, o, z = gates.chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(z)
        h = torch.sigmoid(o) * torch.tanh(c)
        every.append(h)
    return torch.stack(every), h, c


def slice_by_index(x: Any, begin: Any, end: Any, stride: Any = None, begin_mask: Any = None, end_mask: Any = None,
                   squeeze_mask: Any = None) -> Any:  # fmt: skip
    x = tensor(x)
    masks = [ints(each) if each is not None else [0] * x.ndim for each in (begin_mask, end_mask, squeeze_mask)]
    steps = ints(stride) if stride is not None else [1] * x.ndim
    picked: list[Any] = []
    for axis, (first, last, step) in enumerate(zip(ints(begin), ints(end), steps, strict=True)):
        if masks[2][axis]:
            picked.append(first)
        else:
            picked.append(slice(None if masks[0][axis] else first, None if masks[1][axis] else last, step))
    return torch.from_numpy(x.numpy()[tuple(picked)].copy())


def reshape(x: Any, shape: Any) -> Any:
    x = tensor(x)
    return x.reshape([x.shape[axis] if n == 0 else n for axis, n in enumerate(ints(shape))])


def concat(values: Any, axis: Any, interleave: Any = False) -> Any:
    parts = [tensor(each) for each in values]
    if bool(interleave):
        raise NotImplementedError("concat with interleave")
    return torch.cat(parts, dim=int(axis))


def split(x: Any, num_splits: Any = None, split_sizes: Any = None, axis: Any = 0) -> tuple[Tensor, ...]:
    x = tensor(x)
    sizes = ints(split_sizes) if split_sizes is not None else x.shape[int(axis)] // int(num_splits)
    return torch.split(x, sizes, dim=int(axis))


def pad(x: Any, pad: Any, mode: Any = "constant", constant_val: Any = 0.0) -> Any:
    listed = ints(pad)
    amounts = list(zip(listed[::2], listed[1::2], strict=True))
    array = tensor(x).numpy()
    whole = [(0, 0)] * (array.ndim - len(amounts)) + amounts
    if str(mode) == "constant":
        return torch.from_numpy(np.pad(array, whole, constant_values=float(constant_val)))
    modes: dict[str, Literal["reflect", "edge"]] = {"reflect": "reflect", "replicate": "edge"}
    return torch.from_numpy(np.pad(array, whole, mode=modes[str(mode)]))


def gather(x: Any, indices: Any, axis: Any = 0, batch_dims: Any = 0, validate_indices: Any = False) -> Any:
    if int(batch_dims):
        raise NotImplementedError("gather with batch dimensions")
    x, indices = tensor(x), tensor(indices)
    place = int(axis) % x.ndim
    found = x.index_select(place, (indices.reshape(-1) % x.shape[place]))
    return found.reshape(*x.shape[:place], *indices.shape, *x.shape[place + 1 :])


def gather_along_axis(x: Any, indices: Any, axis: Any = 0, validate_indices: Any = False) -> Any:
    x, indices = tensor(x), tensor(indices)
    return torch.take_along_dim(x, indices % x.shape[int(axis)], dim=int(axis))


def scatter(data: Any, indices: Any, updates: Any, axis: Any = 0, mode: Any = "add",
            validate_indices: Any = False) -> Any:  # fmt: skip
    data, places = tensor(data), tensor(indices).reshape(-1)
    if tensor(indices).ndim != 1 or str(mode) not in ("add", "update"):
        raise NotImplementedError(f"scatter with mode {mode} and indices of rank {tensor(indices).ndim}")
    put = data.index_add if str(mode) == "add" else data.index_copy
    return put(int(axis), places % data.shape[int(axis)], tensor(updates))


def list_scatter(ls: Any, indices: Any, value: Any) -> Any:
    """The list with rows of a tensor in the places of its elements."""
    made = list(ls) + [None] * max(0, max(ints(indices), default=-1) + 1 - len(ls))
    for place, row in zip(ints(indices), tensor(value), strict=True):
        made[place] = row
    return made


def reduced(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def op(x: Any, axes: Any = None, keep_dims: Any = False) -> Any:
        x = tensor(x)
        return run(x, dim=tuple(ints(axes)) if axes is not None else tuple(range(x.ndim)), keepdim=bool(keep_dims))

    return op


def argmax(x: Any, axis: Any = -1, keep_dims: Any = True, output_dtype: Any = "int32") -> Any:
    return tensor(x).argmax(dim=int(axis), keepdim=bool(keep_dims))


def topk(x: Any, k: Any = 1, axis: Any = -1, ascending: Any = False, sort: Any = True, return_indices: Any = True,
         output_indices_dtype: Any = "int32") -> tuple[Tensor, ...]:  # fmt: skip
    values, places = torch.topk(tensor(x), int(k), dim=int(axis), largest=not bool(ascending))
    return values, places


def upsample_bilinear(x: Any, scale_factor_height: Any = 1, scale_factor_width: Any = 1, align_corners: Any = True,
                      half_pixel_centers: Any = None) -> Any:  # fmt: skip
    if half_pixel_centers is not None and not bool(half_pixel_centers) and not bool(align_corners):
        raise NotImplementedError("upsample_bilinear of TensorFlow 1")
    x = tensor(x)
    size = [int(x.shape[2] * float(scale_factor_height)), int(x.shape[3] * float(scale_factor_width))]
    return nn.interpolate(x, size=size, mode="bilinear", align_corners=bool(align_corners))


def upsample_nearest(x: Any, scale_factor_height: Any = 1, scale_factor_width: Any = 1) -> Any:
    x = tensor(x)
    size = [int(x.shape[2] * float(scale_factor_height)), int(x.shape[3] * float(scale_factor_width))]
    return nn.interpolate(x, size=size, mode="nearest")


def attention(query: Any, key: Any, value: Any, attn_mask: Any = None) -> Any:
    mask = None if attn_mask is None else tensor(attn_mask)
    return nn.scaled_dot_product_attention(tensor(query), tensor(key), tensor(value), mask)


def classify(probabilities: Any, classes: Any) -> tuple[Any, Tensor]:
    flat = tensor(probabilities).reshape(-1)
    return classes[int(flat.argmax())], flat


def unary(run: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda x: run(tensor(x))


def binary(run: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda x, y: run(tensor(x), tensor(y))


def cast(x: Any, dtype: Any) -> Any:
    x, wanted = tensor(x), DTYPES.get(str(dtype), torch.get_default_dtype())
    return x.trunc().to(wanted) if x.is_floating_point() and wanted is torch.int64 else x.to(wanted)


def gelu(x: Any, mode: Any = "EXACT") -> Any:
    x = tensor(x)
    if str(mode) == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return nn.gelu(x, approximate="tanh" if "TANH" in str(mode) else "none")


UNARY = (
    "relu", "sigmoid", "tanh", "sqrt", "square", "exp", "abs", "sign", "floor", "ceil", "round", "sin", "cos", "erf",
    "logical_not",
)  # fmt: skip
BINARY = (
    "add", "sub", "mul", "pow", "maximum", "minimum", "less", "greater_equal", "greater", "less_equal", "not_equal",
    "logical_and", "logical_or",
)  # fmt: skip
OPS: dict[str, Callable[..., Any]] = {
    **{name: unary(getattr(torch, name)) for name in UNARY},
    **{name: binary(getattr(torch, name)) for name in BINARY},
    "equal": binary(torch.eq),
    "real_div": binary(torch.true_divide),
    "floor_div": binary(torch.floor_divide),
    "silu": unary(nn.silu),
    "softsign": unary(nn.softsign),
    "softplus": unary(nn.softplus),
    "log": lambda x, epsilon=1e-45: torch.log(tensor(x) + float(epsilon)),
    "rsqrt": lambda x, epsilon=1e-12: torch.rsqrt(tensor(x) + float(epsilon)),
    "inverse": lambda x, epsilon=1e-4: 1 / (tensor(x) + float(epsilon)),
    "clip": lambda x, alpha, beta: tensor(x).clamp(float(alpha), float(beta)),
    "leaky_relu": lambda x, alpha: nn.leaky_relu(tensor(x), float(alpha)),
    "sigmoid_hard": lambda x, alpha=0.2, beta=0.5: (float(alpha) * tensor(x) + float(beta)).clamp(0, 1),
    "thresholded_relu": lambda x, alpha=1.0: torch.where(tensor(x) >= float(alpha), tensor(x), 0.0),
    "prelu": lambda x, alpha: nn.prelu(tensor(x), tensor(alpha)),
    "elu": lambda x, alpha: nn.elu(tensor(x), float(alpha)),
    "softmax": lambda x, axis=-1: torch.softmax(tensor(x), dim=int(axis)),
    "gelu": gelu, "cast": cast, "conv": conv, "conv_transpose": conv_transpose, "max_pool": max_pool,
    "avg_pool": avg_pool,
    "batch_norm": batch_norm, "layer_norm": layer_norm, "linear": linear, "matmul": matmul, "lstm": lstm,
    "slice_by_index": slice_by_index, "reshape": reshape, "concat": concat, "split": split, "pad": pad,
    "gather": gather, "gather_along_axis": gather_along_axis, "topk": topk, "reduce_argmax": argmax,
    "upsample_bilinear": upsample_bilinear, "upsample_nearest_neighbor": upsample_nearest, "classify": classify,
    "scaled_dot_product_attention": attention,
    "reduce_mean": reduced(torch.mean), "reduce_sum": reduced(torch.sum), "reduce_max": reduced(torch.amax),
    "reduce_min": reduced(torch.amin), "reduce_l2_norm": reduced(torch.linalg.vector_norm),
    "transpose": lambda x, perm: tensor(x).permute(ints(perm)),
    "expand_dims": lambda x, axes: torch.from_numpy(np.expand_dims(tensor(x).numpy(), tuple(ints(axes)))),
    "squeeze": lambda x, axes=None: tensor(x).squeeze(ints(axes)) if axes is not None else tensor(x).squeeze(),
    "stack": lambda values, axis: torch.stack([tensor(each) for each in values], dim=int(axis)),
    "tile": lambda x, reps: torch.tile(tensor(x), ints(reps)),
    "reverse": lambda x, axes=None: tensor(x).flip(ints(axes) if axes is not None else list(range(tensor(x).ndim))),
    "fill": lambda shape, value=0.0: torch.full(ints(shape), np.asarray(value).item()),
    "shape": lambda x: torch.tensor(tensor(x).shape),
    "select": lambda cond, a, b: torch.where(tensor(cond).bool(), tensor(a), tensor(b)),
    "identity": lambda x: x,
    "scatter": scatter,
    "make_list": lambda init_length=1, **_: [None] * int(init_length),
    "list_length": lambda ls: torch.tensor(len(ls)),
    "list_read": lambda ls, index: ls[int(index)],
    "list_write": lambda ls, index, value: list_scatter(ls, [int(index)], tensor(value)[None]),
    "list_gather": lambda ls, indices: torch.stack([ls[place] for place in ints(indices)]),
    "list_scatter": list_scatter,
    "pixel_shuffle": lambda x, upscale_factor: nn.pixel_shuffle(tensor(x), int(upscale_factor)),
    "space_to_depth": lambda x, block_size: nn.pixel_unshuffle(tensor(x), int(block_size)),
}  # fmt: skip
"""Each op that a program of the folder had when this was written, and a few beside."""
