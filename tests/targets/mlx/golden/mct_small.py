"""mct_small as MLX modules, made by mctc from mct_small.mct: change the spec, not this file.

Tensors are (batch, frames, channels). A component called takes whole utterances; its `step` takes one chunk of a
stream and its state, and returns the new state. Weights bind by the names of the spec.
"""

from __future__ import annotations

from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn

from .layers import LSTM, Conv1d, Conv2d
from .selective_scan import selective_scan


class ConvSubsampleState(NamedTuple):
    """What `ConvSubsample.step` carries from chunk to chunk."""

    conv1_context: mx.array  # (B, 1, 80, 1)
    conv2_context: mx.array  # (B, 1, 40, 64)


class ConvSubsample(nn.Module):
    """Block `conv_subsample`, as `encoder.subsample`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv2d(1, 64, (3, 3), stride=(2, 2), pads=((1, 1), (1, 1)))
        self.conv2 = Conv2d(64, 64, (3, 3), stride=(2, 2), pads=((1, 1), (1, 1)))
        self.proj = nn.Linear(1280, 64)

    def __call__(self, x: mx.array) -> mx.array:
        """x (B, T, 80) to (B, T/4, 64)."""
        y = mx.unflatten(x, 2, (1, 80)).swapaxes(2, 3)
        y = nn.relu(self.conv1(y))
        y = nn.relu(self.conv2(y))
        return self.proj(y.swapaxes(2, 3).flatten(2, 3))

    def initial_state(self, batch: int = 1, dtype: mx.Dtype = mx.float32) -> ConvSubsampleState:
        """The state before the first frame: zeros."""
        return ConvSubsampleState(mx.zeros((batch, 1, 80, 1), dtype), mx.zeros((batch, 1, 40, 64), dtype))

    def step(self, x: mx.array, state: ConvSubsampleState) -> tuple[mx.array, ConvSubsampleState]:
        """One chunk: x (B, 32, 80) to (B, 8, 64)."""
        y = mx.unflatten(x, 2, (1, 80)).swapaxes(2, 3)
        y = mx.concatenate([state.conv1_context, y], axis=1)
        conv1_context = y[:, -1:]
        y = nn.relu(self.conv1(y, pads=((0, 0), (1, 1))))
        y = mx.concatenate([state.conv2_context, y], axis=1)
        conv2_context = y[:, -1:]
        y = nn.relu(self.conv2(y, pads=((0, 0), (1, 1))))
        return self.proj(y.swapaxes(2, 3).flatten(2, 3)), ConvSubsampleState(conv1_context, conv2_context)


class MambaState(NamedTuple):
    """What `Mamba.step` carries from chunk to chunk."""

    conv_context: mx.array  # (B, 3, 128)
    h: mx.array  # (B, 128, 16)


class Mamba(nn.Module):
    """Block `mamba`, as `encoder.layers.0.mamba`."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj = nn.Linear(64, 256, bias=False)
        self.conv = Conv1d(128, 128, 4, groups=128, pads=((3, 0),))
        self.x_proj = nn.Linear(128, 36, bias=False)
        self.dt_proj = nn.Linear(4, 128)
        self.A_log = mx.zeros((128, 16))
        self.D = mx.zeros((128,))
        self.out_proj = nn.Linear(128, 64, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        """x (B, T/4, 64) to (B, T/4, 64)."""
        u, z = self.in_proj(x).split(2, axis=2)
        u = nn.silu(self.conv(u))
        dt, b, c = self.x_proj(u).split([4, 20], axis=2)
        before = self.dt_proj(dt)
        before = mx.clip(before, -5.543223683696794, 10)
        y = selective_scan(u, before, -mx.exp(self.A_log), b, c, self.D, z=z, softplus=True)[0]
        return self.out_proj(y)

    def initial_state(self, batch: int = 1, dtype: mx.Dtype = mx.float32) -> MambaState:
        """The state before the first frame: zeros."""
        return MambaState(mx.zeros((batch, 3, 128), dtype), mx.zeros((batch, 128, 16), dtype))

    def step(self, x: mx.array, state: MambaState) -> tuple[mx.array, MambaState]:
        """One chunk: x (B, 8, 64) to (B, 8, 64)."""
        u, z = self.in_proj(x).split(2, axis=2)
        u = mx.concatenate([state.conv_context, u], axis=1)
        conv_context = u[:, -3:]
        u = nn.silu(self.conv(u, pads=((0, 0),)))
        dt, b, c = self.x_proj(u).split([4, 20], axis=2)
        before = self.dt_proj(dt)
        before = mx.clip(before, -5.543223683696794, 10)
        y, h = selective_scan(u, before, -mx.exp(self.A_log), b, c, self.D, h=state.h, z=z, softplus=True)
        return self.out_proj(y), MambaState(conv_context, h)


class EncoderLayerState(NamedTuple):
    """What `EncoderLayer.step` carries from chunk to chunk."""

    mamba: MambaState


class EncoderLayer(nn.Module):
    """One round of `encoder.layers`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.mamba = Mamba()

    def __call__(self, x: mx.array) -> mx.array:
        """x (B, T/4, 64) to (B, T/4, 64)."""
        return x + self.mamba(self.norm(x))

    def initial_state(self, batch: int = 1, dtype: mx.Dtype = mx.float32) -> EncoderLayerState:
        """The state before the first frame: zeros."""
        return EncoderLayerState(self.mamba.initial_state(batch, dtype))

    def step(self, x: mx.array, state: EncoderLayerState) -> tuple[mx.array, EncoderLayerState]:
        """One chunk: x (B, 8, 64) to (B, 8, 64)."""
        y, mamba = self.mamba.step(self.norm(x), state.mamba)
        return x + y, EncoderLayerState(mamba)


class EncoderState(NamedTuple):
    """What `Encoder.step` carries from chunk to chunk."""

    subsample: ConvSubsampleState
    layers: tuple[EncoderLayerState, ...]


class Encoder(nn.Module):
    """Component `encoder` of mct_small."""

    def __init__(self) -> None:
        super().__init__()
        self.subsample = ConvSubsample()
        self.layers = [EncoderLayer() for _ in range(1)]
        self.norm = nn.LayerNorm(64)

    def __call__(self, mel: mx.array) -> mx.array:
        """mel (B, T, 80) to (B, T/4, 64)."""
        x = self.subsample(mel)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def initial_state(self, batch: int = 1, dtype: mx.Dtype = mx.float32) -> EncoderState:
        """The state before the first frame: zeros."""
        return EncoderState(
            self.subsample.initial_state(batch, dtype),
            tuple(layer.initial_state(batch, dtype) for layer in self.layers),
        )

    def step(self, mel: mx.array, state: EncoderState) -> tuple[mx.array, EncoderState]:
        """One chunk: mel (B, 32, 80) to (B, 8, 64)."""
        x, subsample = self.subsample.step(mel, state.subsample)
        layers = []
        for layer, carried in zip(self.layers, state.layers, strict=True):
            x, after = layer.step(x, carried)
            layers.append(after)
        return self.norm(x), EncoderState(subsample, tuple(layers))


class PredictorState(NamedTuple):
    """What `Predictor.step` carries from chunk to chunk."""

    lstm_h: mx.array  # (B, 64)
    lstm_c: mx.array  # (B, 64)


class Predictor(nn.Module):
    """Component `predictor` of mct_small."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(64, 64)
        self.lstm = LSTM(64, 64)

    def __call__(self, token: mx.array) -> mx.array:
        """token (B, U) to (B, U, 64)."""
        return self.lstm(self.embedding(token))[0]

    def initial_state(self, batch: int = 1, dtype: mx.Dtype = mx.float32) -> PredictorState:
        """The state before the first frame: zeros."""
        return PredictorState(mx.zeros((batch, 64), dtype), mx.zeros((batch, 64), dtype))

    def step(self, token: mx.array, state: PredictorState) -> tuple[mx.array, PredictorState]:
        """One chunk: token (B, 1) to (B, 1, 64)."""
        y, lstm_h, lstm_c = self.lstm(self.embedding(token), h=state.lstm_h, c=state.lstm_c)
        return y, PredictorState(lstm_h, lstm_c)


class Joiner(nn.Module):
    """Component `joiner` of mct_small."""

    def __init__(self) -> None:
        super().__init__()
        self.enc_proj = nn.Linear(64, 64)
        self.pred_proj = nn.Linear(64, 64)
        self.out = nn.Linear(64, 64)

    def __call__(self, enc: mx.array, pred: mx.array) -> mx.array:
        """enc (B, T/4, 64), pred (B, U, 64) to (B, T/4, U, 64)."""
        y = self.enc_proj(enc)[:, :, None, :] + self.pred_proj(pred)[:, None, :, :]
        h = mx.tanh(y)
        return self.out(h)


class MctSmall(nn.Module):
    """The model mct_small."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.predictor = Predictor()
        self.joiner = Joiner()


Model = MctSmall
