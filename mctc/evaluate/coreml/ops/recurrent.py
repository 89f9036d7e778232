"""Recurrent layers, a time step after another; x is [time, batch, features].

With the direction "reverse" the results come in the order in which they are computed, the one of the last frame first,
as coremltools' tests of these ops have it. A bidirectional lstm gives both directions at their own time.
"""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.activation import logistic
from mctc.evaluate.coreml.ops.arguments import flag, number
from mctc.evaluate.coreml.precision import Array
from mctc.records import dataclass

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "tanh": np.tanh,
    "sigmoid": logistic,
    # The constants of NeuralNetwork.proto's defaults for these two.
    "hard_sigmoid": lambda x: np.clip(np.float32(0.2) * x + np.float32(0.5), np.float32(0), np.float32(1)),
    "sigmoid_hard": lambda x: np.clip(np.float32(0.2) * x + np.float32(0.5), np.float32(0), np.float32(1)),
    "scaled_tanh": np.tanh,  # both scales are 1, as in coremltools' tests of lstm
}


def _activation(name: str) -> Callable[[Array], Array]:
    if name.lower() not in _ACTIVATIONS:
        raise ValueError(f"there is no activation '{name}'")
    return _ACTIVATIONS[name.lower()]


def _ordered(x: Array, direction: str) -> Array:
    if direction not in ("forward", "reverse"):
        raise ValueError(f"there is no direction '{direction}'")
    return x[::-1] if direction == "reverse" else x


def _collected(steps: list[Array], output_sequence: Any) -> Array:
    """Every step in the order of computation, or the last one."""
    return np.stack(steps) if flag(output_sequence) else steps[-1][None]


@op("rnn")
def rnn(
    x: Array,
    initial_h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None = None,
    direction: str = "forward",
    output_sequence: Any = False,
    activation: str = "tanh",
) -> tuple[Array, Array]:
    """h = activation(W_ih x + W_hh h + b)."""
    act = _activation(activation)
    projected = _projected(_ordered(x, direction), weight_ih, bias)
    h, steps = initial_h, []
    for part in projected:
        h = act(part + h @ weight_hh.T)
        steps.append(h)
    return _collected(steps, output_sequence), h


def _projected(x: Array, weight: Array, bias: Array | None) -> Array:
    projected = x @ weight.T
    return projected if bias is None else projected + bias


@op(
    "gru",
    note="gates in the order reset, output, update; without reset_after the reset gate is applied to h before the"
    " product (as Core ML's GRU layer does), with it after",
)
def gru(
    x: Array,
    initial_h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None = None,
    direction: str = "forward",
    output_sequence: Any = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
    reset_after: Any = False,
    input_bias: Array | None = None,
) -> tuple[Array, Array]:
    """h = (1 - z) o + z h with gates r, z and the candidate o."""
    gate, act = _activation(recurrent_activation), _activation(activation)
    size = weight_hh.shape[1]
    recurrent = np.zeros(3 * size, np.float32) if bias is None else bias
    w_r, w_o, w_z = weight_hh[:size], weight_hh[size : 2 * size], weight_hh[2 * size :]
    b_r, b_o, b_z = recurrent[:size], recurrent[size : 2 * size], recurrent[2 * size :]
    h, steps = initial_h, []
    for part in _projected(_ordered(x, direction), weight_ih, input_bias):
        x_r, x_o, x_z = part[:, :size], part[:, size : 2 * size], part[:, 2 * size :]
        r = gate(x_r + h @ w_r.T + b_r)
        z = gate(x_z + h @ w_z.T + b_z)
        inner = r * (h @ w_o.T + b_o) if flag(reset_after) else (r * h) @ w_o.T + b_o
        o = act(x_o + inner)
        h = (np.float32(1) - z) * o + z * h
        steps.append(h)
    return _collected(steps, output_sequence), h


@dataclass(frozen=True)
class _Cell:
    """The weights of one direction of an LSTM; gates in the order input, forget, output, cell."""

    weight_ih: Array
    weight_hh: Array
    bias: Array | None
    peephole: Array | None
    gate: Callable[[Array], Array]
    cell: Callable[[Array], Array]
    act: Callable[[Array], Array]
    clip: np.float32 | None

    def run(self, x: Array, h: Array, c: Array) -> tuple[list[Array], Array, Array]:
        """All hidden states in the order of x, the last hidden state and the last cell state."""
        size = self.weight_hh.shape[1]
        peep = np.zeros((3, 1), np.float32) if self.peephole is None else self.peephole.reshape(3, size)
        steps = []
        for part in _projected(x, self.weight_ih, self.bias):
            total = part + h @ self.weight_hh.T
            t_i, t_f, t_o, t_z = (total[:, k * size : (k + 1) * size] for k in range(4))
            c = self.gate(t_f + peep[1] * c) * c + self.gate(t_i + peep[0] * c) * self.cell(t_z)
            if self.clip is not None:
                c = np.clip(c, -self.clip, self.clip)
            h = self.gate(t_o + peep[2] * c) * self.act(c)
            steps.append(h)
        return steps, h, c


@op("lstm", note="three directions, peepholes; clip bounds the cell state")
def lstm(
    x: Array,
    initial_h: Array,
    initial_c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None = None,
    peephole: Array | None = None,
    weight_ih_back: Array | None = None,
    weight_hh_back: Array | None = None,
    bias_back: Array | None = None,
    peephole_back: Array | None = None,
    direction: str = "forward",
    output_sequence: Any = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
    clip: Any = None,
) -> tuple[Array, Array, Array]:
    """c = f c + i z and h = o act(c) with gates i, f, o and the candidate z."""
    shared = (
        _activation(recurrent_activation),
        _activation(cell_activation),
        _activation(activation),
        None if clip is None else number(clip),
    )
    first = _Cell(weight_ih, weight_hh, bias, peephole, *shared)
    if direction != "bidirectional":
        steps, h, c = first.run(_ordered(x, direction), initial_h, initial_c)
        return _collected(steps, output_sequence), h, c
    if weight_ih_back is None or weight_hh_back is None:
        raise ValueError("a bidirectional lstm needs weight_ih_back and weight_hh_back")
    second = _Cell(weight_ih_back, weight_hh_back, bias_back, peephole_back, *shared)
    size = weight_hh.shape[1]
    steps, h, c = first.run(x, initial_h[:, :size], initial_c[:, :size])
    back, h_back, c_back = second.run(x[::-1], initial_h[:, size:], initial_c[:, size:])
    at_own_time = back[::-1] if flag(output_sequence) else back
    both = (_collected(steps, output_sequence), _collected(at_own_time, output_sequence))
    return np.concatenate(both, -1), np.concatenate((h, h_back), -1), np.concatenate((c, c_back), -1)
