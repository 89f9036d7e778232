"""Qwen3-ASR from the folder that its users have to text, equal to what the transformers library generates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.cli.main import run

torch = pytest.importorskip("torch")
pytest.importorskip("transformers.models.qwen3_asr")
soundfile = pytest.importorskip("soundfile")

from . import qwen3_asr  # noqa: E402
from .whisper import samples  # noqa: E402

pytestmark = pytest.mark.slow  # a whole vocabulary; in the quick set: architectures.qwen3_asr, runtime.frames_among

SPEC = Path(__file__).parents[2] / "spec" / "qwen3_asr_0_6b.mct"
DEFINES = [part for name, value in qwen3_asr.SIZES.items() for part in ("-D", f"{name}={value}")]
PROMPT = "<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\n<|audio_start|>{}<|audio_end|><|im_end|>\n"
PROMPT += "<|im_start|>assistant\n{}"
LONGEST = 12


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """The library's model and tokenizer, and the folder that they were saved into."""
    torch.set_num_threads(1)  # so small a model only waits for more
    folder, model = tmp_path_factory.mktemp("checkpoint"), qwen3_asr.model()
    return model, qwen3_asr.save(model, folder), folder


@pytest.fixture(scope="module", params=["ane", "onnx"])
def built(request: pytest.FixtureRequest, checkpoint: tuple[Any, Any, Path], tmp_path_factory: Any) -> Path:
    """Imported from the checkpoint as the library, or as the model's own code, names it."""
    folder, target = tmp_path_factory.mktemp("built"), request.param
    source, family = checkpoint[2], "qwen3_asr"
    if target == "onnx":
        pytest.importorskip("onnxruntime")
        source, family = tmp_path_factory.mktemp("published"), "qwen3_asr_thinker"
        qwen3_asr.as_published(checkpoint[2], source)
    weights = folder / "weights.safetensors"
    assert run(["import-weights", str(source), str(SPEC), "--from", family, *DEFINES, "-o", str(weights)]) == 0
    told = ["build", str(SPEC), *DEFINES, "--weights", str(weights), "--tokens", str(source), "--target", target]
    assert run([*told, "--without", "annotate-quantization", "-o", str(folder / "qwen")]) == 0
    return folder / "qwen"


def heard(built: Path, audio: Path, capsys: Any, *asked: str) -> Any:
    capsys.readouterr()
    told = ["run", str(built), str(audio), "--precision", "fp32", "--max-tokens", str(LONGEST), "--json", *asked]
    assert run(told) == 0
    return json.loads(capsys.readouterr().out)


def generated(checkpoint: tuple[Any, Any, Path], sound: np.ndarray, context: str = "", prefix: str = "") -> list[int]:
    """What the library's model writes."""
    model, tokens, _ = checkpoint
    front_end = qwen3_asr.qwen3_asr.Qwen3ASRFeatureExtractor(feature_size=80)
    made = front_end(sound, sampling_rate=16_000, padding=True, return_attention_mask=True)
    mask = made["attention_mask"].long()
    frames = int(model.model.audio_tower._post_cnn_length(mask.reshape(-1, 100).sum(1)).sum())
    ids = torch.tensor([tokens.encode(PROMPT.format(context, frames * "<|audio_pad|>", prefix))])
    given = {"input_features": made["input_features"], "input_features_mask": mask}
    ends = {"eos_token_id": [151_643, 151_645], "pad_token_id": 151_643}
    told = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=LONGEST, do_sample=False, **ends, **given
    )
    return [token for token in told[0, ids.shape[1] :].tolist() if token not in ends["eos_token_id"]]


@pytest.mark.parametrize("seconds", [0.3, 3.2, 5.0131])
@pytest.mark.parametrize(
    ("context", "prefix"),
    [("", ""), ("", "language German<asr_text>"), ("Names: Kellanova", "language English<asr_text>")],
    ids=["as it is", "a language", "a language and names"],
)
def test_the_text_is_theirs(
    checkpoint: tuple[Any, Any, Path], built: Path, seconds: float, context: str, prefix: str, tmp_path: Path,
    capsys: Any,
) -> None:  # fmt: skip
    sound = samples(9)[48_000:][: int(16_000 * seconds)]
    soundfile.write(tmp_path / "said.wav", sound, 16_000, subtype="FLOAT")
    asked = [*(["--context", context] if context else []), *(["--prefix", prefix] if prefix else [])]
    found = heard(built, tmp_path / "said.wav", capsys, *asked)
    want = generated(checkpoint, sound, context, prefix)
    assert found["tokens"] == want
    assert len(set(want)) > 3
    text = checkpoint[1].decode(want, skip_special_tokens=True)
    assert found["text"] == text.split("<asr_text>")[-1].strip()
    assert found["language"] == (prefix[9:-10] or None)


def test_pieces_of_a_long_recording_are_heard_by_themselves(
    checkpoint: tuple[Any, Any, Path], built: Path, tmp_path: Path, capsys: Any
) -> None:
    sound = samples(10.6)
    soundfile.write(tmp_path / "said.wav", sound, 16_000, subtype="FLOAT")
    found = heard(built, tmp_path / "said.wav", capsys)
    pieces = [slice(round(16_000 * piece["start"]), round(16_000 * piece["end"])) for piece in found["pieces"]]
    assert len(pieces) > 1
    assert sum(each.stop - each.start for each in pieces) == len(sound)
    assert found["tokens"] == [token for each in pieces for token in generated(checkpoint, sound[each])]
    assert found["text"].split() == " ".join(piece["text"] for piece in found["pieces"]).split()


def test_what_a_user_gets_wrong_is_said_with_the_fix(built: Path, tmp_path: Path, capsys: Any) -> None:
    soundfile.write(tmp_path / "said.wav", samples(1), 16_000)
    assert run(["run", str(built), str(tmp_path / "said.wav"), "--timestamps"]) == 1
    assert "no tokens of times" in capsys.readouterr().err
    assert run(["run", str(built), str(tmp_path / "said.wav"), "--context", " ".join(300 * ["name"])]) == 1
    told = capsys.readouterr().err
    assert "a cache of 160 has no room for a second of sound" in told
    assert "utterance { labels" in told
