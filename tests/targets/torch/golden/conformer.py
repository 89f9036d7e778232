"""conformer as PyTorch modules, made by mctc from conformer.mct: change the spec, not this file.

Tensors are laid out as the Neural Engine computes, (B, C, 1, S), time last. `forward` takes whole utterances,
`step` one chunk of a stream and its state; the names of the state_dict are the spec's, so `mctc build --weights`
takes a checkpoint as it is. Beside this file lie the modules that it imports; all of them need torch alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .fake_quantize import Quantize
from .functional import attention, masked
from .initial import kaiming_uniform, padded, uniform
from .layers import BatchNorm, Block, Conv2d, LayerNorm, RMSNorm
from .lengths import each_stream, valid_frames, whole_strides
from .losses import ctc_consistency, ctc_loss

INT8 = Quantize("int8", 8)
PALETTE4 = Quantize("palette", 4)
PALETTE6_GROUP16 = Quantize("palette", 6, group=16)


class ConvSubsampleState(NamedTuple):
    """What `ConvSubsample.step` carries from chunk to chunk."""

    conv1_context: Tensor  # (B, 1, 80, 1)
    conv2_context: Tensor  # (B, 16, 40, 1)


class ConvSubsample(Block):
    """Block `conv_subsample`, as `ctc.conv_subsample`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv2d(1, 16, (3, 3), stride=(2, 2), pad=(1, 1), pad_feature=(1, 1))
        self.conv2 = Conv2d(16, 16, (3, 3), stride=(2, 2), pad=(1, 1), pad_feature=(1, 1), quantize=INT8)
        self.proj = Conv2d(320, 64, quantize=INT8)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 80, 1, T) to (B, 64, 1, T/4)."""
        y = x.transpose(1, 2)
        y = F.relu(self.conv1(y))
        y = F.relu(self.conv2(y))
        return self.proj(y.flatten(1, 2).unsqueeze(2))

    def initial_state(self, batch: int = 1) -> ConvSubsampleState:
        """The state before the first frame: zeros."""
        return ConvSubsampleState(self.zeros(batch, 1, 80, 1), self.zeros(batch, 16, 40, 1))

    def step(self, x: Tensor, state: ConvSubsampleState) -> tuple[Tensor, ConvSubsampleState]:
        """One chunk: x (B, 80, 1, 64) to (B, 64, 1, 16)."""
        y = x.transpose(1, 2)
        y = torch.cat([state.conv1_context, y], dim=3)
        conv1_context = y[..., -1:]
        y = F.relu(self.conv1(y, pad=(0, 0)))
        y = torch.cat([state.conv2_context, y], dim=3)
        conv2_context = y[..., -1:]
        y = F.relu(self.conv2(y, pad=(0, 0)))
        return self.proj(y.flatten(1, 2).unsqueeze(2)), ConvSubsampleState(conv1_context, conv2_context)


class Ffn(Block):
    """Block `ffn`, as `ctc.layers.0.ffn`."""

    def __init__(self) -> None:
        super().__init__()
        self.up = Conv2d(64, 256, quantize=PALETTE4)
        self.down = Conv2d(256, 64, quantize=PALETTE6_GROUP16)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 64, 1, T/4) to (B, 64, 1, T/4)."""
        return self.down(F.silu(self.up(x)))


class SelfAttentionState(NamedTuple):
    """What `SelfAttention.step` carries from chunk to chunk."""

    delay: Tensor  # (B, 64, 1, 4)
    k_context: Tensor  # (B, 64, 1, 20)
    v_context: Tensor  # (B, 64, 1, 20)
    valid: Tensor  # (B, 1, 1, 20)


class SelfAttention(Block):
    """Block `self_attention`, as `ctc.layers.0.self_attention`."""

    def __init__(self) -> None:
        super().__init__()
        self.q = Conv2d(64, 64, quantize=INT8)
        self.k = Conv2d(64, 64, quantize=INT8)
        self.v = Conv2d(64, 64, quantize=INT8)
        self.out = Conv2d(64, 64, quantize=INT8)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """x (B, 64, 1, T/4), valid (B, T) to (B, 64, 1, T/4)."""
        q = self.q(x)
        k = self.k(x)
        v = self.v(x)
        y = attention(q, k, v, heads=4, left=16, right=4, valid=valid[:, ::4])
        return self.out(y)

    def initial_state(self, batch: int = 1) -> SelfAttentionState:
        """The state before the first frame: zeros."""
        return SelfAttentionState(
            self.zeros(batch, 64, 1, 4),
            self.zeros(batch, 64, 1, 20),
            self.zeros(batch, 64, 1, 20),
            self.zeros(batch, 1, 1, 20),
        )

    def step(self, x: Tensor, valid: Tensor, state: SelfAttentionState) -> tuple[Tensor, SelfAttentionState]:
        """One chunk: x (B, 64, 1, 16), valid (B, 1, 1, 16) to (B, 64, 1, 16)."""
        q = self.q(x)
        k = self.k(x)
        v = self.v(x)
        q = torch.cat([state.delay, q], dim=3)
        delay = q[..., -4:]
        k = torch.cat([state.k_context, k], dim=3)
        k_context = k[..., -20:]
        v = torch.cat([state.v_context, v], dim=3)
        v_context = v[..., -20:]
        valid = torch.cat([state.valid, valid], dim=3)
        valid1 = valid[..., -20:]
        y = attention(q[..., :-4], k, v, heads=4, left=16, right=4, given=True, key_mask=valid)
        return self.out(y), SelfAttentionState(delay, k_context, v_context, valid1)


class ConvModuleState(NamedTuple):
    """What `ConvModule.step` carries from chunk to chunk."""

    depthwise_conv1d_context: Tensor  # (B, 64, 1, 8)


class ConvModule(Block):
    """Block `conv_module`, as `ctc.layers.0.conv_module`."""

    def __init__(self) -> None:
        super().__init__()
        self.pw1 = Conv2d(64, 128, quantize=INT8)
        self.depthwise_conv1d = Conv2d(64, 64, (1, 9), groups=64, pad=(4, 4))
        self.batch_norm = BatchNorm(64)
        self.pw2 = Conv2d(64, 64, quantize=INT8)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """x (B, 64, 1, T/4), valid (B, T) to (B, 64, 1, T/4)."""
        a, b = self.pw1(x).chunk(2, dim=1)
        batch_norm = self.batch_norm(
            self.depthwise_conv1d(a * torch.sigmoid(b), valid=valid[:, ::4]), valid=valid[:, ::4]
        )
        y = F.silu(batch_norm)
        return self.pw2(y)

    def initial_state(self, batch: int = 1) -> ConvModuleState:
        """The state before the first frame: zeros."""
        return ConvModuleState(self.zeros(batch, 64, 1, 8))

    def step(self, x: Tensor, valid: Tensor, state: ConvModuleState) -> tuple[Tensor, ConvModuleState]:
        """One chunk: x (B, 64, 1, 16), valid (B, 1, 1, 16) to (B, 64, 1, 16)."""
        a, b = self.pw1(x).chunk(2, dim=1)
        y = torch.cat([state.depthwise_conv1d_context, a * torch.sigmoid(b) * valid], dim=3)
        depthwise_conv1d_context = y[..., -8:]
        y = F.silu(self.batch_norm(self.depthwise_conv1d(y, pad=(0, 0))))
        return self.pw2(y), ConvModuleState(depthwise_conv1d_context)


class CtcLayerState(NamedTuple):
    """What `CtcLayer.step` carries from chunk to chunk."""

    delay: Tensor  # (B, 64, 1, 4)
    delay_2: Tensor  # (B, 64, 1, 4)
    self_attention: SelfAttentionState
    conv_module: ConvModuleState


class CtcLayer(Block):
    """One round of `ctc.layers`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer_norm = LayerNorm(64)
        self.ffn = Ffn()
        self.rms_norm = RMSNorm(64)
        self.self_attention = SelfAttention()
        self.layer_norm_1 = LayerNorm(64)
        self.conv_module = ConvModule()
        self.layer_norm_2 = LayerNorm(64)
        self.ffn_1 = Ffn()
        self.layer_norm_3 = LayerNorm(64)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """x (B, 64, 1, T/4), valid (B, T) to (B, 64, 1, T/4)."""
        x = x + 0.5 * self.ffn(self.layer_norm(x))
        x = x + self.self_attention(self.rms_norm(x), valid)
        x = x + self.conv_module(self.layer_norm_1(x), valid)
        return self.layer_norm_3(x + 0.5 * self.ffn_1(self.layer_norm_2(x)))

    def initial_state(self, batch: int = 1) -> CtcLayerState:
        """The state before the first frame: zeros."""
        return CtcLayerState(
            self.zeros(batch, 64, 1, 4),
            self.zeros(batch, 64, 1, 4),
            self.self_attention.initial_state(batch),
            self.conv_module.initial_state(batch),
        )

    def step(self, x: Tensor, valid: Tensor, valid1: Tensor, state: CtcLayerState) -> tuple[Tensor, CtcLayerState]:
        """One chunk: x (B, 64, 1, 16), valid (B, 1, 1, 16), valid1 (B, 1, 1, 16) to (B, 64, 1, 16)."""
        x = x + 0.5 * self.ffn(self.layer_norm(x))
        x1 = torch.cat([state.delay, x], dim=3)
        delay = x1[..., -4:]
        y, self_attention = self.self_attention.step(self.rms_norm(x), valid, state.self_attention)
        x = x1[..., :-4] + y
        x1 = torch.cat([state.delay_2, x], dim=3)
        delay_2 = x1[..., -4:]
        y, conv_module = self.conv_module.step(self.layer_norm_1(x), valid1, state.conv_module)
        x = x1[..., :-4] + y
        return self.layer_norm_3(x + 0.5 * self.ffn_1(self.layer_norm_2(x))), CtcLayerState(
            delay, delay_2, self_attention, conv_module
        )


class CtcState(NamedTuple):
    """What `Ctc.step` carries from chunk to chunk."""

    valid_delay: Tensor  # (B, 1, 1, 4)
    valid_delay_2: Tensor  # (B, 1, 1, 8)
    valid_delay_3: Tensor  # (B, 1, 1, 12)
    conv_subsample: ConvSubsampleState
    layers_0: CtcLayerState
    layers_1: CtcLayerState


class Ctc(Block):
    """Component `ctc` of conformer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_subsample = ConvSubsample()
        self.layers = nn.ModuleList(CtcLayer() for _ in range(2))
        self.head = Conv2d(
            64,
            256,
            initial={
                "weight": padded(kaiming_uniform(fan_in=64), axis=0, after=55),
                "bias": padded(uniform(0.125), axis=0, after=55, value=-10000),
            },
            quantize=INT8,
        )

    def forward(self, mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """mel (B, 80, 1, T) to (B, 256, 1, T/4). `lengths` (B,) count the frames of each utterance."""
        mel = whole_strides(masked(mel, valid_frames(mel, lengths)), 4)
        valid = valid_frames(mel, lengths, multiple=4)
        x = self.conv_subsample(mel)
        for layer in self.layers:
            x = self.run(layer, x, valid)
        return self.head(x).log_softmax(dim=1)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames of the result for utterances of `lengths` (B,) frames."""
        return -(-lengths // 4)

    def initial_state(self, batch: int = 1) -> CtcState:
        """The state before the first frame: zeros."""
        return CtcState(
            self.zeros(batch, 1, 1, 4),
            self.zeros(batch, 1, 1, 8),
            self.zeros(batch, 1, 1, 12),
            self.conv_subsample.initial_state(batch),
            self.layers[0].initial_state(batch),
            self.layers[1].initial_state(batch),
        )

    def step(self, mel: Tensor, valid: Tensor, state: CtcState) -> tuple[Tensor, CtcState]:
        """One chunk: mel (B, 80, 1, 64), valid (B, 1, 1, 64) in {0, 1} to (B, 256, 1, 16). `valid` says which frames
        exist, (S,) for all streams or (B, S).
        """
        valid = each_stream(valid, mel, self.kind)
        x, conv_subsample = self.conv_subsample.step(mel, state.conv_subsample)
        valid = valid[..., ::4]
        valid1 = torch.cat([state.valid_delay, valid], dim=3)
        valid_delay = valid1[..., -4:]
        valid1 = valid1[..., :-4]
        x, layers_0 = self.layers[0].step(x, valid, valid1, state.layers_0)
        valid1 = torch.cat([state.valid_delay_2, valid], dim=3)
        valid_delay_2 = valid1[..., -8:]
        valid1 = valid1[..., :-8]
        valid = torch.cat([state.valid_delay_3, valid], dim=3)
        valid_delay_3 = valid[..., -12:]
        valid = valid[..., :-12]
        x, layers_1 = self.layers[1].step(x, valid1, valid, state.layers_1)
        return self.head(x).log_softmax(dim=1), CtcState(
            valid_delay, valid_delay_2, valid_delay_3, conv_subsample, layers_0, layers_1
        )


class Conformer(Block):
    """The model conformer."""

    def __init__(self) -> None:
        super().__init__()
        self.ctc = Ctc()

    def forward(
        self, mel: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor, *, consistency: float = 0.0
    ) -> Tensor:
        """The CTC loss: mel (B, T, 80), targets (B, U), the lengths of both (B,), to the mean over the batch.
        `consistency` weighs how far the CTC posteriors of the batch's halves, two views of the same, are apart.
        """
        features = mel.transpose(1, 2)[:, :, None]
        ctc_output = self.ctc(features, lengths=lengths)
        frames = self.ctc.output_lengths(lengths)
        loss = ctc_loss(ctc_output, targets, frames, target_lengths, blank=0, dim=1, classes=201)
        if consistency:
            loss = loss + consistency * ctc_consistency(ctc_output, frames, target_lengths, dim=1, classes=201)
        return loss
