"""mct_small as PyTorch modules, made by mctc from mct_small.mct: change the spec, not this file.

Tensors are laid out as the Neural Engine computes, (B, C, 1, S), time last. `forward` takes whole utterances,
`step` one chunk of a stream and its state; the names of the state_dict are the spec's, so `mctc build --weights`
takes a checkpoint as it is. Beside this file lie the modules that it imports; all of them need torch alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .dropping import dropout
from .fake_quantize import Quantize
from .functional import masked
from .initial import delta_bias, kaiming_uniform, log_arange, normal, ones, padded, uniform
from .layers import LSTM, Block, Conv2d, Embedding, LayerNorm
from .lengths import valid_frames, whole_strides
from .losses import ctc_consistency, ctc_loss
from .rnnt_loss import rnnt_loss
from .selective_scan import selective_scan
from .teacher_forcing import begun

INT4 = Quantize("int4", 4)
INT8 = Quantize("int8", 8)
INT8_COLUMNS = Quantize("int8", 8, axis=1)


class ConvSubsampleState(NamedTuple):
    """What `ConvSubsample.step` carries from chunk to chunk."""

    conv1_context: Tensor  # (B, 1, 80, 1)
    conv2_context: Tensor  # (B, 64, 40, 1)


class ConvSubsample(Block):
    """Block `conv_subsample`, as `encoder.subsample`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv2d(1, 64, (3, 3), stride=(2, 2), pad=(1, 1), pad_feature=(1, 1))
        self.conv2 = Conv2d(64, 64, (3, 3), stride=(2, 2), pad=(1, 1), pad_feature=(1, 1), quantize=INT8)
        self.proj = Conv2d(1280, 256, quantize=INT8)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 80, 1, T) to (B, 256, 1, T/4)."""
        y = x.transpose(1, 2)
        y = F.relu(self.conv1(y))
        y = F.relu(self.conv2(y))
        return self.proj(y.flatten(1, 2).unsqueeze(2))

    def initial_state(self, batch: int = 1) -> ConvSubsampleState:
        """The state before the first frame: zeros."""
        return ConvSubsampleState(self.zeros(batch, 1, 80, 1), self.zeros(batch, 64, 40, 1))

    def step(self, x: Tensor, state: ConvSubsampleState) -> tuple[Tensor, ConvSubsampleState]:
        """One chunk: x (B, 80, 1, 32) to (B, 256, 1, 8)."""
        y = x.transpose(1, 2)
        y = torch.cat([state.conv1_context, y], dim=3)
        conv1_context = y[..., -1:]
        y = F.relu(self.conv1(y, pad=(0, 0)))
        y = torch.cat([state.conv2_context, y], dim=3)
        conv2_context = y[..., -1:]
        y = F.relu(self.conv2(y, pad=(0, 0)))
        return self.proj(y.flatten(1, 2).unsqueeze(2)), ConvSubsampleState(conv1_context, conv2_context)


class MambaState(NamedTuple):
    """What `Mamba.step` carries from chunk to chunk."""

    conv_context: Tensor  # (B, 512, 1, 3)
    h: Tensor  # (B, 512, 1, 16)


class Mamba(Block):
    """Block `mamba`, as `encoder.layers.0.mamba`."""

    A_log: Tensor
    D: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.in_proj = Conv2d(256, 1024, bias=False, quantize=INT4)
        self.conv = Conv2d(512, 512, (1, 4), groups=512, pad=(3, 0))
        self.x_proj = Conv2d(512, 48, bias=False, quantize=INT8)
        self.dt_proj = Conv2d(
            16, 512, initial={"weight": uniform(0.25), "bias": delta_bias(high=0.1, low=0.00390625)}, quantize=INT8
        )
        self.new_parameter("A_log", (512, 16), log_arange())
        self.new_parameter("D", (512,), ones())
        self.out_proj = Conv2d(512, 256, bias=False, quantize=INT4)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 256, 1, T/4) to (B, 256, 1, T/4)."""
        u, z = self.in_proj(x).chunk(2, dim=1)
        u = F.silu(self.conv(u))
        dt, b, c = self.x_proj(u).split([16, 16, 16], dim=1)
        before = self.dt_proj(dt)
        before = before.clamp(-5.543223683696794, 10)
        y = selective_scan(u, before, -torch.exp(self.A_log), b, c, self.D, z=z, softplus=True)[0]
        return self.out_proj(y)

    def initial_state(self, batch: int = 1) -> MambaState:
        """The state before the first frame: zeros."""
        return MambaState(self.zeros(batch, 512, 1, 3), self.zeros(batch, 512, 1, 16))

    def step(self, x: Tensor, state: MambaState) -> tuple[Tensor, MambaState]:
        """One chunk: x (B, 256, 1, 8) to (B, 256, 1, 8)."""
        u, z = self.in_proj(x).chunk(2, dim=1)
        u = torch.cat([state.conv_context, u], dim=3)
        conv_context = u[..., -3:]
        u = F.silu(self.conv(u, pad=(0, 0)))
        dt, b, c = self.x_proj(u).split([16, 16, 16], dim=1)
        before = self.dt_proj(dt)
        before = before.clamp(-5.543223683696794, 10)
        y, h = selective_scan(u, before, -torch.exp(self.A_log), b, c, self.D, h=state.h, z=z, softplus=True)
        return self.out_proj(y), MambaState(conv_context, h)


class EncoderLayerState(NamedTuple):
    """What `EncoderLayer.step` carries from chunk to chunk."""

    mamba: MambaState


class EncoderLayer(Block):
    """One round of `encoder.layers`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = LayerNorm(256)
        self.mamba = Mamba()

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 256, 1, T/4) to (B, 256, 1, T/4)."""
        return x + dropout(self.mamba(self.norm(x)), 0.1, self.training)

    def initial_state(self, batch: int = 1) -> EncoderLayerState:
        """The state before the first frame: zeros."""
        return EncoderLayerState(self.mamba.initial_state(batch))

    def step(self, x: Tensor, state: EncoderLayerState) -> tuple[Tensor, EncoderLayerState]:
        """One chunk: x (B, 256, 1, 8) to (B, 256, 1, 8)."""
        y, mamba = self.mamba.step(self.norm(x), state.mamba)
        return x + y, EncoderLayerState(mamba)


class EncoderState(NamedTuple):
    """What `Encoder.step` carries from chunk to chunk."""

    subsample: ConvSubsampleState
    layers: tuple[EncoderLayerState, ...]


class Encoder(Block):
    """Component `encoder` of mct_small."""

    def __init__(self) -> None:
        super().__init__()
        self.subsample = ConvSubsample()
        self.layers = nn.ModuleList(EncoderLayer() for _ in range(8))
        self.norm = LayerNorm(256)

    def forward(self, mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """mel (B, 80, 1, T) to (B, 256, 1, T/4). `lengths` (B,) count the frames of each utterance."""
        mel = whole_strides(masked(mel, valid_frames(mel, lengths)), 4)
        x = self.subsample(mel)
        for layer in self.layers:
            x = self.run(layer, x)
        return self.norm(x)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames of the result for utterances of `lengths` (B,) frames."""
        return -(-lengths // 4)

    def initial_state(self, batch: int = 1) -> EncoderState:
        """The state before the first frame: zeros."""
        return EncoderState(
            self.subsample.initial_state(batch), tuple(layer.initial_state(batch) for layer in self.layers)
        )

    def step(self, mel: Tensor, state: EncoderState) -> tuple[Tensor, EncoderState]:
        """One chunk: mel (B, 80, 1, 32) to (B, 256, 1, 8)."""
        x, subsample = self.subsample.step(mel, state.subsample)
        layers = []
        for layer, carried in zip(self.layers, state.layers, strict=True):
            x, after = layer.step(x, carried)
            layers.append(after)
        return self.norm(x), EncoderState(subsample, tuple(layers))


class PredictorState(NamedTuple):
    """What `Predictor.step` carries from chunk to chunk."""

    lstm_h: Tensor  # (B, 256, 1, 1)
    lstm_c: Tensor  # (B, 256, 1, 1)


class Predictor(Block):
    """Component `predictor` of mct_small."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = Embedding(
            512, 256, initial={"weight": padded(normal(std=1), axis=0, after=11)}, quantize=INT8_COLUMNS
        )
        self.lstm = LSTM(256, 256, quantize=INT8)

    def forward(self, token: Tensor) -> Tensor:
        """token (B, 1, 1, U) to (B, 256, 1, U)."""
        return self.lstm(dropout(self.embedding(token), 0.2, self.training))[0]

    def initial_state(self, batch: int = 1) -> PredictorState:
        """The state before the first frame: zeros."""
        return PredictorState(self.zeros(batch, 256, 1, 1), self.zeros(batch, 256, 1, 1))

    def step(self, token: Tensor, state: PredictorState) -> tuple[Tensor, PredictorState]:
        """One chunk: token (B, 1, 1, 1) to (B, 256, 1, 1)."""
        y, lstm_h, lstm_c = self.lstm(self.embedding(token), h=state.lstm_h, c=state.lstm_c)
        return y, PredictorState(lstm_h, lstm_c)


class Joiner(Block):
    """Component `joiner` of mct_small."""

    def __init__(self) -> None:
        super().__init__()
        self.enc_proj = Conv2d(256, 256, quantize=INT8)
        self.pred_proj = Conv2d(256, 256, quantize=INT8)
        self.out = Conv2d(
            256,
            512,
            initial={
                "weight": padded(kaiming_uniform(fan_in=256), axis=0, after=11),
                "bias": padded(uniform(0.0625), axis=0, after=11, value=-10000),
            },
            quantize=INT8,
        )

    def forward(self, enc: Tensor, pred: Tensor) -> Tensor:
        """enc (B, 256, 1, T/4), pred (B, 256, U, 1) to (B, 512, U, T/4)."""
        h = torch.tanh(self.enc_proj(enc) + self.pred_proj(pred))
        return self.out(h)


class MctSmall(Block):
    """The model mct_small."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.predictor = Predictor()
        self.joiner = Joiner()
        self.auxiliary_ctc = Conv2d(256, 501)

    def forward(
        self, mel: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor, *, consistency: float = 0.0
    ) -> Tensor:
        """The transducer loss: mel (B, T, 80), targets (B, U), the lengths of both (B,), to the mean over the batch.
        `consistency` weighs how far the CTC posteriors of the batch's halves, two views of the same, are apart.
        """
        features = mel.transpose(1, 2)[:, :, None]
        encoder_output = self.encoder(features, lengths=lengths)
        before = begun(targets, target_lengths, (0,), classes=501)
        predicted = self.predictor(before[:, None, None])
        logits = self.joiner(encoder_output, predicted.transpose(2, 3))
        frames = self.encoder.output_lengths(lengths)
        loss = rnnt_loss(logits, targets, frames, target_lengths, blank=0, dim=1, classes=501)
        ctc = self.auxiliary_ctc(encoder_output)
        added = ctc_loss(ctc, targets, frames, target_lengths, blank=0, dim=1, zero_infinity=True, reduction="none")
        loss = loss + 0.3 * added.mean()
        if consistency:
            loss = loss + consistency * ctc_consistency(ctc, frames, dim=1)
        return loss
