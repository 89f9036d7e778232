"""Conformers: layers against transformers', the decoder against torch's, chunks against the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import table
from mctc.package import read_package

from .conformers import FRAMES, HEADS, INNER, MEL, SIZES, VOCAB, WIDTH, built, parameters, tensors
from .proof import LIMIT, Proof, largest_error

torch = pytest.importorskip("torch")
F = torch.nn.functional

LABELS = 6
RNG = np.random.default_rng(8)
LAYERS = """
import "lib/conformer.mct"

model layers(width = 16, heads = 2) {
    dim B: batch
    dim T: time @ 25 Hz
    component encoder(x: f32[B, T, width]) -> f32[B, T, width] {
        repeat 2 { x = conformer_layer(x, heads, 24, 5, norm = "batch", convolution_bias = false) as layer }
        return layer_norm(x) as norm
    }
    utterance { length = 24 frames }
}
"""
ATTENTION = """
import "lib/conformer.mct"

model attention(width = 16, heads = 2, left = 6, right = 2) {
    dim B: batch
    dim T: time @ 25 Hz
    component encoder(x: f32[B, T, width]) -> f32[B, T, width] {
        return relative_self_attention(x, heads, left, right) as self
    }
    stream { chunk = 4 frames }
}
"""
FRAME = RNG.normal(size=(1, 24, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def proofs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Proof]:
    return cache(lambda name: built(name, root, tmp_path_factory.mktemp(name)))


def written(text: str, folder: Path) -> Proof:
    spec = folder / "written.mct"
    spec.write_text(text, encoding="utf-8")
    return Proof.of(spec, folder)


# transformers: layers with batch norm, and distances with a sign

ATTENTION_NAMES = {"q": "linear_q", "k": "linear_k", "v": "linear_v", "out": "linear_out"}
BIASES = {"position": "linear_pos.weight", "content_bias": "pos_bias_u", "position_bias": "pos_bias_v"}
LAYER_NAMES = {
    "norm1": "ffn1_layer_norm", "norm2": "ffn2_layer_norm", "norm": "final_layer_norm",
    "self_norm": "self_attn_layer_norm", "conv_norm": "conv_module.layer_norm", "conv.norm": "conv_module.batch_norm",
    "conv.gated": "conv_module.pointwise_conv1",
    "conv.depthwise": "conv_module.depthwise_conv", "conv.out": "conv_module.pointwise_conv2",
    **{f"ffn{i}.up": f"ffn{i}.intermediate_dense" for i in (1, 2)},
    **{f"ffn{i}.down": f"ffn{i}.output_dense" for i in (1, 2)},
}  # fmt: skip


def their_attention(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a Wav2Vec2ConformerSelfAttention."""
    state = {}
    for name, tensor in weights.items():
        module, _, kind = name.rpartition(".")
        shaped = tensor.view(HEADS, -1) if "bias" in BIASES.get(name, "") else tensor
        state[BIASES.get(name) or f"{ATTENTION_NAMES[module]}.{kind}"] = shaped
    return state


def their_layer(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a Wav2Vec2ConformerEncoderLayer."""
    own = {name.removeprefix("self."): w for name, w in weights.items() if name.startswith("self.")}
    state = {f"self_attn.{name}": w for name, w in their_attention(own).items()}
    for name, tensor in weights.items():
        module, _, kind = name.rpartition(".")
        if module in LAYER_NAMES:
            pointwise = kind == "weight" and module in ("conv.gated", "conv.out")
            state[f"{LAYER_NAMES[module]}.{kind}"] = tensor[..., None] if pointwise else tensor
    return state | {"conv_module.batch_norm.num_batches_tracked": torch.tensor(0)}


@pytest.fixture(scope="module")
def theirs() -> Any:
    """The library's encoder of two layers, in a state of its own."""
    models = pytest.importorskip("transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer")
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": HEADS, "intermediate_size": 24}
    sizes |= {"conv_depthwise_kernel_size": 5}
    config = models.Wav2Vec2ConformerConfig(
        **sizes, hidden_act="swish", position_embeddings_type="relative", attn_implementation="eager"
    )
    return models.Wav2Vec2ConformerEncoder(config).eval()


def test_layers_are_those_of_transformers(theirs: Any, tmp_path: Path) -> None:
    proof = written(LAYERS, tmp_path)
    for i, layer in enumerate(theirs.layers):
        layer.load_state_dict(their_layer(tensors(proof.weights, f"encoder.layers.{i}.layer.")))
    theirs.layer_norm.load_state_dict(tensors(proof.weights, "encoder.norm."))
    with torch.no_grad():
        want = theirs(torch.tensor(FRAME)).last_hidden_state.numpy()
    for by in (proof.by_torch, proof.by_package):
        assert largest_error(by("encoder", {"x": FRAME})["output"], want) <= LIMIT


def test_attention_to_a_band_is_theirs_under_a_mask(theirs: Any, tmp_path: Path) -> None:
    proof = written(ATTENTION, tmp_path)
    module = theirs.layers[0].self_attn
    module.load_state_dict(their_attention(tensors(proof.weights, "encoder.self.")))
    distance = np.arange(24)[:, None] - np.arange(24)
    mask = torch.tensor(np.where((distance <= 6) & (distance >= -2), 0, -np.inf)[None, None]).float()
    x = torch.tensor(FRAME)
    with torch.no_grad():
        want = module(x, attention_mask=mask, relative_position_embeddings=theirs.embed_positions(x))[0].numpy()
    for by in (proof.by_torch, proof.by_package):
        assert largest_error(by("encoder", {"x": FRAME})["output"], want) <= LIMIT
    for chunks in ([1], [3, 7, 2], [24]):
        assert largest_error(proof.by_chunks("encoder", {"x": FRAME}, chunks)["output"], want) <= LIMIT


class ChannelNorm(torch.nn.LayerNorm):  # type: ignore[misc]
    """Layer norm in the place of a batch norm, where channels stand before frames."""

    def forward(self, x: Any) -> Any:
        return super().forward(x.mT).mT


def with_layer_norm(layer: Any, weights: Mapping[str, Any]) -> Any:
    """Their layer as the specs have it: layer norm and biases in the convolution, and scores over sqrt(WIDTH).

    Theirs divides scores by sqrt(WIDTH / HEADS): what makes the queries is smaller by the ratio.
    """
    layer = deepcopy(layer)
    convolution = layer.conv_module
    convolution.batch_norm = ChannelNorm(WIDTH)
    for name in ("pointwise_conv1", "depthwise_conv", "pointwise_conv2"):
        module = getattr(convolution, name)
        module.bias = torch.nn.Parameter(torch.zeros(module.out_channels))
    state = their_layer(weights)
    del state["conv_module.batch_norm.num_batches_tracked"]
    state |= {f"self_attn.linear_{name}.bias": torch.zeros(WIDTH) for name in "qkv"}
    for name in ("linear_q.weight", "pos_bias_u", "pos_bias_v"):
        state[f"self_attn.{name}"] = state[f"self_attn.{name}"] / HEADS**0.5
    layer.load_state_dict(state)
    return layer


def subsampled(mel: Any, weights: Mapping[str, Any]) -> Any:
    """Two strided convolutions, each with a norm over a frame and a leaky rectifier, then the projection."""
    x = mel.mT.unsqueeze(1)
    for block in ("conv1", "conv2"):
        x = F.conv2d(x, weights[f"{block}.conv.weight"], weights[f"{block}.conv.bias"], stride=2, padding=1)
        gain, shift = (weights[f"{block}.norm.{kind}"].view(x.shape[1:3]) for kind in ("weight", "bias"))
        x = F.leaky_relu(F.layer_norm(x.permute(0, 3, 1, 2), gain.shape, gain, shift)).permute(0, 2, 3, 1)
    return F.linear(x.flatten(1, 2).mT, weights["proj.weight"], weights["proj.bias"])


def absolute_distances(frames: int) -> Any:
    """Sinusoids of frames - 1, ..., 0, ..., frames - 1."""
    rows = torch.tensor(sinusoids(frames))
    return torch.cat([rows.flip(1), rows[:, 1:]], 1)


@pytest.mark.slow
def test_a_ctc_encoder_has_their_layers_in_the_middle(theirs: Any, proofs: Callable[[str], Proof]) -> None:
    proof = proofs("conformer_ctc")
    norm, head = (tensors(proof.weights, f"encoder.{name}.") for name in ("norm", "ctc"))
    with torch.no_grad():
        x = subsampled(torch.tensor(MEL), tensors(proof.weights, "encoder.subsample."))
        for i, layer in enumerate(theirs.layers):
            ours = with_layer_norm(layer, tensors(proof.weights, f"encoder.layers.{i}.layer."))
            x = ours(x, relative_position_embeddings=absolute_distances(FRAMES // 4))
        x = F.layer_norm(x, (WIDTH,), norm["weight"], norm["bias"], 1e-6)
        want = F.linear(x, head["weight"], head["bias"]).log_softmax(-1).numpy()
    for by in (proof.by_torch, proof.by_package):
        assert largest_error(by("encoder", {"mel": MEL})["log_probs"], want) <= LIMIT


# torch: the decoder

DECODER_NAMES = {
    "self_norm": "norm1", "cross_norm": "norm2", "norm": "norm3", "ffn.up": "linear1", "ffn.down": "linear2",
    "self.out": "self_attn.out_proj", "cross.out": "multihead_attn.out_proj",
}  # fmt: skip


def torch_decoder(weights: Mapping[str, Any]) -> Any:
    layer = torch.nn.TransformerDecoderLayer(
        WIDTH, HEADS, INNER, activation="gelu", norm_first=True, batch_first=True, layer_norm_eps=1e-6
    )
    decoder = torch.nn.TransformerDecoder(layer, 2, torch.nn.LayerNorm(WIDTH, 1e-6)).eval()
    for i, each in enumerate(decoder.layers):
        own = tensors(weights, f"decoder.layers.{i}.layer.")
        made = tensors(weights, f"cross.layers.{i}.layer.")
        own |= {f"cross.{name}": tensor for name, tensor in made.items()}
        state = {}
        for kind in ("weight", "bias"):
            state |= {f"{there}.{kind}": own[f"{here}.{kind}"] for here, there in DECODER_NAMES.items()}
            for here, there in (("self", "self_attn"), ("cross", "multihead_attn")):
                state[f"{there}.in_proj_{kind}"] = torch.cat([own[f"{here}.{name}.{kind}"] for name in "qkv"])
        each.load_state_dict(state)
    decoder.norm.load_state_dict(tensors(weights, "decoder.norm."))
    return decoder


def sinusoids(count: int) -> np.ndarray:
    angles = np.arange(count)[:, None] / 10000 ** (np.arange(0, WIDTH, 2) / WIDTH)
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(1, count, WIDTH).astype(np.float32)


@pytest.mark.slow
def test_the_decoder_label_by_label_is_torchs_over_all_labels(proofs: Callable[[str], Proof]) -> None:
    s2s = proofs("conformer_s2s")
    memory = RNG.normal(size=(1, FRAMES // 4, WIDTH)).astype(np.float32)
    token = RNG.integers(0, VOCAB, (1, LABELS))
    ends = tensors(s2s.weights, "decoder.")
    with torch.no_grad():
        x = WIDTH**0.5 * ends["embedding.weight"][token] + torch.tensor(sinusoids(LABELS))
        mask = torch.nn.Transformer.generate_square_subsequent_mask(LABELS)
        y = torch_decoder(s2s.weights)(x, torch.tensor(memory), tgt_mask=mask, tgt_is_causal=True)
        want = F.linear(y, ends["out.weight"], ends["out.bias"]).log_softmax(-1).numpy()
    for by in (s2s.by_torch, s2s.by_package):
        given = {"token": token, "position": sinusoids(LABELS), **by("cross", {"memory": memory})}
        assert largest_error(by("decoder", given)["log_probs"], want) <= LIMIT


# specs


def test_any_chunking_of_a_streaming_encoder_is_the_whole(proofs: Callable[[str], Proof]) -> None:
    streaming = proofs("conformer_streaming")
    whole = streaming.by_reference("encoder", {"mel": MEL})["log_probs"]
    for chunks in ([4], [8, 4, 20], [100]):
        assert largest_error(streaming.by_chunks("encoder", {"mel": MEL}, chunks)["log_probs"], whole) <= LIMIT


@pytest.mark.quick("conformer_streaming")
@pytest.mark.parametrize("name", SIZES)
def test_a_module_gives_what_its_package_gives(name: str, proofs: Callable[[str], Proof]) -> None:
    by_torch, by_package = (by("encoder", {"mel": MEL}) for by in (proofs(name).by_torch, proofs(name).by_package))
    assert set(by_torch) == set(by_package)
    for result, want in by_torch.items():
        assert largest_error(by_package[result], want) <= LIMIT


@pytest.mark.quick("conformer_streaming")
@pytest.mark.parametrize("name", SIZES)
def test_a_package_has_no_transpose_and_no_error_of_the_linter(name: str, proofs: Callable[[str], Proof]) -> None:
    assert "transpose" not in proofs(name).ops()
    (package,) = proofs(name).built["ane"].folder.glob("*.mlpackage")
    report = check_package(read_package(package), table().rules.values())
    assert not [finding for finding in report.findings if finding.severity is Severity.ERROR]


def test_the_small_model_has_the_published_number_of_parameters(root: Path) -> None:
    """13.3 M: the README of SpeechBrain's recipes/LibriSpeech/ASR/transformer says so of conformer_small."""
    small = {"width": 144, "heads": 4, "decoder_depth": 4, "inner": 1024}
    assert parameters(root / "spec/conformer_s2s.mct", **small) == pytest.approx(13.3e6, rel=0.01)
