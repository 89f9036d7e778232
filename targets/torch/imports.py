"""The modules beside an emitted one, and the names that it may import from each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mctc.targets.torch.layer_table import LAYERS

HOMES: dict[str, frozenset[str]] = {
    "associations": frozenset({"associations"}),
    "class_losses": frozenset({"frame_classes", "utterance_classes"}),
    "dropping": frozenset({"dropout", "layer_drop"}),
    "fake_quantize": frozenset({"FakeQuantizer", "Quantize"}),
    "functional": frozenset(
        {"attention", "batch_norm_at_rest", "gru", "layer_norm", "lstm", "masked", "masked_mean", "relative_attention"}
    )
    | {"reverse", "rms_norm", "unpacked"},
    "initial": frozenset(
        {"constant", "delta_bias", "kaiming_normal", "kaiming_uniform", "log_arange", "normal", "ones", "orthogonal"}
    )
    | {"padded", "truncated_normal", "uniform", "xavier_normal", "xavier_uniform", "zeros"},
    "input_quantizer": frozenset({"fake_quantize"}),
    "layers": frozenset({"Block", *(layer.name for layer in LAYERS.values())}),
    "lengths": frozenset({"begun_by", "each_stream", "valid_frames", "whole_strides"}),
    "losses": frozenset({"cross_entropy", "ctc_loss", "ctc_consistency", "joint_ctc_attention"}),
    "parts": frozenset({"outputs"}),
    "rnnt_loss": frozenset({"rnnt_loss"}),
    "selective_scan": frozenset({"selective_scan"}),
    "ssd": frozenset({"ssd"}),
    "tdt_loss": frozenset({"tdt_loss"}),
    "teacher_forcing": frozenset({"begun", "frames_then_labels"}),
}
IMPORTED = frozenset({"F", "NamedTuple", "Tensor", "nn", "torch"}).union(*HOMES.values())


def siblings(used: frozenset[str]) -> frozenset[str]:
    """The modules that these names come from."""
    return frozenset(home for home, offered in HOMES.items() if used & offered)


def import_lines(used: frozenset[str]) -> Iterator[str]:
    """`from .layers import Block, Conv2d`, in the order that isort gives."""
    for home, offered in HOMES.items():
        if used & offered:
            yield f"from .{home} import {', '.join(_sorted(used & offered))}"


def _sorted(names: Iterable[str]) -> list[str]:
    """Constants first (as which isort takes LSTM), then classes, then functions."""
    return sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
