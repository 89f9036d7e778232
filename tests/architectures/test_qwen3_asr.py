"""Qwen3-ASR's spec against the transformers library's: audio encoder, projector, language model with its cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.audio import bundled_recording, load_audio, log_mel
from mctc.ir.op import Array
from mctc.language import elaborate_file
from mctc.runtime.decoding import Search
from mctc.runtime.encoder_decoder import EncoderDecoder
from mctc.runtime.stream import front_end_of
from mctc.runtime.utterance import transcribe_samples

from .proof import LIMIT, Proof, largest_error, parameters

torch = pytest.importorskip("torch")
theirs = pytest.importorskip("transformers.models.qwen3_asr")

SIZES: dict[str, Any] = {"mels": 80, "audio_width": 32, "audio_depth": 2, "audio_heads": 2, "audio_inner": 48}
SIZES |= {"audio_channels": 8, "window": 2, "width": 32, "depth": 2, "heads": 4, "kv_heads": 2}
SIZES |= {"head": 16, "inner": 48, "vocab": 90, "labels": 128, "prefill": 4}
SPEC = Path(__file__).parents[2] / "spec" / "qwen3_asr_0_6b.mct"
VALID = 250  # of 300 frames: two windows of 2 s, the last with half a second in it
FRAMES = 2 * 13 + 7  # that the encoder makes of them
AUDIO = 89  # the token that stands for a frame of audio
RNG = np.random.default_rng(1)
MEL = np.where(np.arange(300)[:, None] < VALID, RNG.normal(size=(300, 80)), 0).astype(np.float32)
TOKENS = np.array([3, 1, *[AUDIO] * FRAMES, 4, 1, 5])
THETA = 1e6


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    return Proof.of(SPEC, tmp_path_factory.mktemp("qwen3_asr"), **SIZES)


@pytest.fixture(scope="module")
def model(proof: Proof) -> Any:
    """The library's model with the weights of the proof, and all its sines and cosines in the spec's steps of 2^-11."""
    audio = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 48}
    audio |= {"num_mel_bins": 80, "output_dim": 32, "downsample_hidden_size": 8, "n_window_infer": 200}
    text = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    text |= {"head_dim": 16, "intermediate_size": 48, "vocab_size": 90, "tie_word_embeddings": True}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": THETA}}
    config = theirs.Qwen3ASRConfig(
        audio_config={"model_type": "qwen3_asr_encoder", **audio},
        text_config={"model_type": "qwen3", **text},
        audio_token_id=AUDIO,
    )
    model = theirs.Qwen3ASRForConditionalGeneration(config).eval()
    tensors = {renamed(name): torch.tensor(value) for name, value in proof.weights.items()}
    positions = model.model.audio_tower.positional_embedding.positional_embedding
    positions.copy_((2048 * positions).round() / 2048)
    model.model.language_model.rotary_emb.register_forward_hook(
        lambda module, given, made: tuple((2048 * each).round() / 2048 for each in made)
    )
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    model.tie_weights()
    return model


def renamed(name: str) -> str:
    """The library's name of a tensor of the spec."""
    name = name.replace(".layer.", ".").replace(".subsample.", ".")
    if name.startswith("encoder.linear"):
        return name.replace("encoder", "model.multi_modal_projector")
    if name == "decoder.embed_tokens":
        return "model.language_model.embed_tokens.weight"
    return name.replace("encoder", "model.audio_tower").replace("decoder", "model.language_model")


def audio_inputs() -> dict[str, Array]:
    """Seconds of 100 frames and 4 zeros, as many frames as the last one of the result is made of."""
    seconds = np.pad(MEL.reshape(3, 100, 80), ((0, 0), (0, 4), (0, 0)))
    return {"mel": seconds.reshape(1, 312, 80)[:, : 8 * FRAMES]}


def text_inputs(rows: Array) -> dict[str, Array]:
    """Rows [labels, width] with their positions."""
    return {"label": rows[None], "position": np.arange(len(rows))[None]}


def encoded(model: Any) -> Array:
    mask = torch.arange(300)[None] < VALID
    with torch.no_grad():
        return model.model.get_audio_features(torch.tensor(MEL.T[None]), mask.long()).pooler_output.numpy()


def test_the_encoder_is_the_librarys(proof: Proof, model: Any) -> None:
    want = encoded(model)
    for run in (proof.by_torch, proof.by_package):
        assert largest_error(run("encoder", audio_inputs())["output"][0], want) <= LIMIT


@pytest.fixture(scope="module")
def on_mlx(proof: Proof, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    pytest.importorskip("mlx.core", reason="mlx is not installed: pip install 'mctc[mlx]'")
    return proof.with_mlx(SPEC, tmp_path_factory.mktemp("qwen3_asr_mlx") / "build", **SIZES)


@pytest.mark.slow  # tests/targets/mlx has its ops, one by one
def test_mlx_hears_and_writes_what_the_library_does(on_mlx: Proof, model: Any) -> None:
    """The encoder's blocks of attention; the decoder at once, label by label with its cache, and prefilled by four."""
    want = encoded(model)
    for function in ("", "encoder"):
        assert largest_error(on_mlx.by_mlx("encoder", audio_inputs(), function)["output"][0], want) <= LIMIT
    ids = np.random.default_rng(3).integers(0, 80, 12)
    with torch.no_grad():
        labels = model(input_ids=torch.tensor(ids[None])).logits[0].numpy()
    inputs = text_inputs(on_mlx.weights["decoder.embed_tokens"][ids])
    for function in ("", "decoder", "decoder_prefill"):
        assert largest_error(on_mlx.by_mlx("decoder", inputs, function)["output"][0], labels) <= LIMIT


def test_a_call_may_be_several_windows(proof: Proof, model: Any) -> None:
    assert largest_error(proof.by_chunks("encoder", audio_inputs(), [416])["output"][0], encoded(model)) <= LIMIT


@pytest.mark.parametrize("function", ["decoder", "decoder_prefill"])
def test_the_language_model_is_the_librarys(proof: Proof, model: Any, function: str) -> None:
    """All tokens at once, and a call after the other with the cache, by the library and by the package."""
    ids = RNG.integers(0, 80, 12)
    with torch.no_grad():
        want = model(input_ids=torch.tensor(ids[None])).logits[0].numpy()
        cache, steps = None, []
        for token in ids:
            made = model(input_ids=torch.tensor([[token]]), cache=cache, use_cache=True)
            cache, steps = made.past_key_values, [*steps, made.logits[0, 0].numpy()]
    assert largest_error(np.array(steps), want) <= LIMIT
    inputs = text_inputs(proof.weights["decoder.embed_tokens"][ids])
    assert largest_error(proof.by_torch("decoder", inputs)["output"][0], want) <= LIMIT
    assert largest_error(proof.by_package("decoder", inputs, function)["output"][0], want) <= LIMIT


def test_frames_of_audio_stand_among_the_tokens(proof: Proof, model: Any) -> None:
    mask = (torch.arange(300)[None] < VALID).long()
    features = {"input_features": torch.tensor(MEL.T[None]), "input_features_mask": mask}
    with torch.no_grad():
        want = model(input_ids=torch.tensor(TOKENS[None]), **features).logits[0].numpy()
    rows = proof.weights["decoder.embed_tokens"][TOKENS]
    rows[TOKENS == AUDIO] = proof.by_package("encoder", audio_inputs())["output"][0]
    assert largest_error(proof.by_package("decoder", text_inputs(rows))["output"][0], want) <= LIMIT


@pytest.mark.parametrize("seconds", [0.3, 4.013])
def test_what_it_writes_of_a_recording_is_what_the_library_generates(proof: Proof, model: Any, seconds: float) -> None:
    """Front end, windows, frames behind a prompt, one label after the other; 0.3 s are heard as 0.5 s."""
    samples = load_audio(bundled_recording())[16_000:][: int(16_000 * seconds)]
    features = theirs.Qwen3ASRFeatureExtractor(feature_size=80)
    heard = features(samples, sampling_rate=16_000, padding=True, return_attention_mask=True)
    mask = heard["attention_mask"].long()
    frames = int(model.model.audio_tower._post_cnn_length(mask.reshape(-1, 100).sum(1)).sum())
    ids = torch.tensor([[0, *[AUDIO] * frames, 1]])
    given = {"input_features": heard["input_features"], "input_features_mask": mask}
    told = {"max_new_tokens": 6, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}
    want = model.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=2, **given, **told)
    built = proof.built["ane"]
    engine = EncoderDecoder(built, {}, "fp32")
    engine.hear(log_mel(samples, front_end_of(built)), before=[0])
    logits, state = engine.start([1])
    for label, each in zip(want.sequences[0, ids.shape[1] :].tolist(), want.logits, strict=True):
        assert largest_error(logits[:90], each[0].numpy()) <= LIMIT
        (logits,), (state,) = engine.predict([label], [state])
    found = transcribe_samples(engine, front_end_of(built), samples, Search((1,), 2, 6, before=(0,)), "it")
    assert list(found.tokens) == want.sequences[0, ids.shape[1] :].tolist()


def test_the_package_has_no_transpose(proof: Proof) -> None:
    """And no error of `mctc lint`: a build stops at one."""
    assert "transpose" not in proof.ops()


def test_the_sizes_are_the_published_ones() -> None:
    """782.4 M of Qwen/Qwen3-ASR-0.6B, 596 M of them Qwen3-0.6B's; its audio encoder is 746 MB in fp32."""
    program = elaborate_file(SPEC)
    encoder = sum(type_.size for name, (type_, _) in program.sources.items() if name.startswith("encoder."))
    assert parameters(program) == pytest.approx(782.4e6, rel=0.001)
    assert encoder == pytest.approx(746e6 / 4, rel=0.001)
    assert parameters(program) - encoder == pytest.approx(596e6, rel=0.001)
