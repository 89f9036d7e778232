"""Conformers as SpeechBrain has them, where it imports: that needs a torchaudio built for the installed torch.

Its convolutions in front reflect the edges; they are told to pad zeros here, as the specs do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conformers import FRAMES, HEADS, INNER, KERNEL, LEFT, MEL, MELS, WIDTH, built, parameters, tensors
from .proof import LIMIT, largest_error

torch = pytest.importorskip("torch")

MODULES = {
    "norm1": "ffn_module1.0",
    "ffn1.up": "ffn_module1.1.ffn.0",
    "ffn1.down": "ffn_module1.1.ffn.3",
    "norm2": "ffn_module2.0",
    "ffn2.up": "ffn_module2.1.ffn.0",
    "ffn2.down": "ffn_module2.1.ffn.3",
    "self_norm": "norm1.norm",
    "self.out": "mha_layer.out_proj",
    "conv_norm": "convolution_module.layer_norm",
    "conv.gated": "convolution_module.bottleneck.0",
    "conv.depthwise": "convolution_module.conv",
    "conv.norm": "convolution_module.after_conv.0",
    "conv.out": "convolution_module.after_conv.2",
    "norm": "norm2.norm",
}


def conformer_state(layers: Sequence[Mapping[str, Any]], heads: int) -> dict[str, Any]:
    """The state of the layers of a ConformerEncoder with RelPosMHAXL, from tensors by the names within a layer."""
    return {
        f"layers.{i}.{name}": tensor for i, layer in enumerate(layers) for name, tensor in _layer(layer, heads).items()
    }


def _layer(own: Mapping[str, Any], heads: int) -> dict[str, Any]:
    state = {f"{there}.{kind}": own[f"{here}.{kind}"] for here, there in MODULES.items() for kind in ("weight", "bias")}
    state["convolution_module.bottleneck.0.weight"] = own["conv.gated.weight"][..., None]
    by_head = [own[f"self.{name}.weight"].unflatten(0, (heads, -1)) for name in "qkv"]
    state["mha_layer.in_proj_weight"] = torch.cat(by_head, 1).flatten(0, 1)  # query, key and value of a head together
    state["mha_layer.linear_pos.weight"] = own["self.position"]
    state["mha_layer.pos_bias_u"] = own["self.content_bias"].view(-1, heads)  # read as (heads, width) all the same
    state["mha_layer.pos_bias_v"] = own["self.position_bias"].view(-1, heads)
    return state


def front_state(own: Mapping[str, Any], mels: int) -> dict[str, Any]:
    """The state of a ConvolutionFrontEnd of two blocks. Its norms have features before channels."""
    state = {}
    for i, features in enumerate((mels // 2, mels // 4)):
        block, there = f"conv{i + 1}", f"convblock_{i}.convs"
        for kind in ("weight", "bias"):
            state[f"{there}.conv_0.conv.{kind}"] = own[f"{block}.conv.{kind}"]
            state[f"{there}.norm_0.norm.{kind}"] = own[f"{block}.norm.{kind}"].view(-1, features).mT
    return state


@pytest.fixture(scope="module")
def speechbrain() -> Any:
    """Its modules. It imports where torchaudio was built for the installed torch."""
    try:
        from speechbrain.lobes.models import convolution
        from speechbrain.lobes.models.transformer import Conformer, TransformerASR
    except (ImportError, OSError) as error:
        pytest.skip(f"speechbrain doesn't import: {error}")
    return convolution, Conformer, TransformerASR


def their_front(speechbrain: Any, weights: Mapping[str, Any], mel: Any) -> Any:
    """Frames behind the strided convolutions and the projection. They reflect the edges unless told not to."""
    front = speechbrain[0].ConvolutionFrontEnd(
        (1, FRAMES, MELS), num_blocks=2, num_layers_per_block=1, out_channels=(64, 32), kernel_sizes=(3, 3),
        strides=(2, 2), residuals=(False, False),
    ).eval()  # fmt: skip
    front.load_state_dict(front_state(tensors(weights, "encoder.subsample."), MELS))
    for block in (front.convblock_0, front.convblock_1):
        block.convs.conv_0.padding_mode = "constant"
    project = tensors(weights, "encoder.subsample.proj.")
    by_feature = project["weight"].view(WIDTH, 32, MELS // 4).mT.flatten(1)
    return torch.nn.functional.linear(front(mel).flatten(2), by_feature, project["bias"])


def their_encoder(speechbrain: Any, weights: Mapping[str, Any], depth: int, causal: bool = False) -> Any:
    encoder = speechbrain[1].ConformerEncoder(depth, WIDTH, INNER, HEADS, KERNEL, causal=causal).eval()
    layers = [tensors(weights, f"encoder.layers.{i}.layer.") for i in range(depth)]
    norm = {f"norm.norm.{kind}": w for kind, w in tensors(weights, "encoder.norm.").items()}
    encoder.load_state_dict(conformer_state(layers, HEADS) | norm)
    return encoder


def log_probs(weights: Mapping[str, Any], x: Any) -> np.ndarray:
    head = tensors(weights, "encoder.ctc.")
    return np.asarray(torch.nn.functional.linear(x, head["weight"], head["bias"]).log_softmax(-1).numpy())


def test_a_ctc_encoder_is_speechbrains(speechbrain: Any, root: Path, tmp_path: Path) -> None:
    ctc = built("conformer_ctc", root, tmp_path)
    with torch.no_grad():
        x = their_front(speechbrain, ctc.weights, torch.tensor(MEL))
        positions = speechbrain[1].sb.nnet.attention.RelPosEncXL(WIDTH)(x)
        y = their_encoder(speechbrain, ctc.weights, 2)(x, pos_embs=positions)[0]
    for by in (ctc.by_torch, ctc.by_package):
        got = by("encoder", {"mel": MEL})["log_probs"]
        assert largest_error(got, log_probs(ctc.weights, y)) <= LIMIT


def test_an_encoder_with_two_results_is_speechbrains(speechbrain: Any, root: Path, tmp_path: Path) -> None:
    s2s = built("conformer_s2s", root, tmp_path)
    with torch.no_grad():
        x = their_front(speechbrain, s2s.weights, torch.tensor(MEL))
        positions = speechbrain[1].sb.nnet.attention.RelPosEncXL(WIDTH)(x)
        y = their_encoder(speechbrain, s2s.weights, 1)(x, pos_embs=positions)[0]
    for by in (s2s.by_torch, s2s.by_package):
        got = by("encoder", {"mel": MEL})
        assert largest_error(got["memory"], y.numpy()) <= LIMIT
        assert largest_error(got["log_probs"], log_probs(s2s.weights, y)) <= LIMIT


def test_a_streaming_encoder_is_speechbrains_under_a_mask(speechbrain: Any, root: Path, tmp_path: Path) -> None:
    streaming = built("conformer_streaming", root, tmp_path)
    frames = FRAMES // 4
    distance = np.arange(frames)[:, None] - np.arange(frames)
    unseen = torch.tensor((distance < 0) | (distance > LEFT))
    signed = torch.tensor(signed_sinusoids(frames))
    with torch.no_grad():
        x = their_front(speechbrain, streaming.weights, torch.tensor(MEL))
        encoder = their_encoder(speechbrain, streaming.weights, 2, causal=True)
        encoder.norm.norm.eps = 1e-5
        for layer in encoder.layers:
            layer.mha_layer.scale = (WIDTH // HEADS) ** -0.5
        y = encoder(x, src_mask=unseen, pos_embs=signed)[0]
    for by in (streaming.by_torch, streaming.by_package):
        got = by("encoder", {"mel": MEL})["log_probs"]
        assert largest_error(got, log_probs(streaming.weights, y)) <= LIMIT


def signed_sinusoids(frames: int) -> np.ndarray:
    """Codes of the distances frames - 1, ..., 1 - frames, where SpeechBrain's own repeat those of the past."""
    angles = np.arange(frames - 1, -frames, -1)[:, None] / 10000 ** (np.arange(0, WIDTH, 2) / WIDTH)
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(1, 2 * frames - 1, WIDTH).astype(np.float32)


@pytest.mark.parametrize(
    ("spec", "sizes", "vocab"),
    [
        ("conformer_s2s", {"d_model": 512, "nhead": 8, "num_decoder_layers": 6, "d_ffn": 2048}, 5000),
        ("conformer_ctc", {"d_model": 256, "nhead": 4, "num_decoder_layers": 0, "d_ffn": 1024}, 31),
    ],
)
def test_full_sizes_have_as_many_parameters_as_speechbrains(
    speechbrain: Any, root: Path, spec: str, sizes: dict[str, int], vocab: int
) -> None:
    depth = 18 if spec == "conformer_ctc" else 12
    with torch.device("meta"):
        model = speechbrain[2].TransformerASR(
            vocab, 640, **sizes, num_encoder_layers=depth, encoder_module="conformer", attention_type="RelPosMHAXL",
            normalize_before=True, causal=False,
        )  # fmt: skip
    front = (9 + 1) * 64 + 2 * 40 * 64 + (9 * 64 + 1) * 32 + 2 * 20 * 32
    heads = (1 + (sizes["num_decoder_layers"] > 0)) * (sizes["d_model"] + 1) * vocab
    assert parameters(root / f"spec/{spec}.mct") == sum(p.numel() for p in model.parameters()) + front + heads
