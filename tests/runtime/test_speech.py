"""A recording through a build equals the whole program over the whole recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.audio import load_audio, log_mel
from mctc.decode.settings import Settings
from mctc.driver import BuildOptions, build
from mctc.driver.options import BuildError
from mctc.evaluate.adapt import adapt
from mctc.evaluate.reference import evaluate
from mctc.ir.text import parse_program
from mctc.runtime.built import open_built
from mctc.runtime.encoder import Encoder
from mctc.runtime.searched import recogniser
from mctc.runtime.speech import chunks_of, transcribe
from mctc.runtime.step import Packages
from mctc.runtime.stream import front_end_of
from mctc.weights import Weights


def whole(folder: Path, mel: np.ndarray) -> np.ndarray:
    """Encoded frames [frames, width] of the whole program, with the parameters as deployed."""
    program = parse_program((folder / "whole.mir").read_text())
    weights = Weights(program.sources, 0, cache=True)
    function = program.functions["encoder"]
    (port,) = function.inputs
    given = adapt(mel.T[None, :, None, :], port.type, port.type)
    results, _ = evaluate(function, {port.name: given}, lambda name: weights.deployed(program.parameters[name]))
    return np.asarray(results["output"][0, :, 0].T)


@pytest.mark.parametrize(("which", "frames"), [("small", 52), ("ahead", 104)])  # a quarter and a half, rounded up
def test_encoded_frames_of_a_stream_are_those_of_the_whole(
    which: str, frames: int, speech: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(which)
    built = open_built(folder)
    encoder = Encoder(Packages(built, "fp32").step("encoder"))
    chunks = chunks_of(front_end_of(built), speech, encoder.chunk)
    streamed = np.concatenate([*[encoder.push(*chunk) for chunk in chunks], encoder.finish()])
    mel = log_mel(load_audio(speech), built.front_end)
    assert len(mel) == 207
    expected = whole(folder, mel[:204])  # a whole number of encoded frames
    assert len(streamed) == frames
    behind = 0 if which == "small" else 5  # the last frames of a shorter utterance see its end
    compared = len(expected) - behind
    error = np.abs(streamed[:compared] - expected[:compared]).max() / np.abs(expected).max()
    assert error < 1e-4


def test_a_transcript_says_what_was_heard_and_what_it_cost(ahead: Path, speech: Path) -> None:
    built = open_built(ahead)
    seen: list[int] = []
    transcript = transcribe(built, speech, "fp32", Settings(max_symbols=3), lambda t: seen.append(len(t.costs)))
    assert transcript.audio_s == pytest.approx(2.07)
    assert transcript.frames == 104
    assert seen == [*range(1, 15), 14]  # 13 chunks, what look-ahead held back, and the end
    frames = [frame for _, frame in transcript.emissions]
    assert frames == sorted(frames)
    assert max(frames) < 104
    assert max(frames.count(f) for f in frames) <= 3
    assert min(token for token, _ in transcript.emissions) >= 0
    assert max(token for token, _ in transcript.emissions) <= 20
    assert transcript.real_time_factor > 0


@pytest.mark.parametrize(
    "options",
    [BuildOptions(state="io"), BuildOptions(state="separate", allow_errors=True), BuildOptions(layout="separate")],
)
def test_states_and_layout_do_not_change_what_comes_out(
    options: BuildOptions, ahead: Path, speech: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    build(Path(__file__).parent / "ahead.mct", other, options)
    tokens = [
        transcribe(open_built(folder), speech, "fp32", Settings(max_symbols=2)).emissions for folder in (ahead, other)
    ]
    assert tokens[0] == tokens[1]


def test_padded_entries_of_the_vocabulary_never_win(small: Path) -> None:
    logits = np.zeros((1, 64), np.float32)
    logits[0, 31:] = 9.0
    scores = recogniser(open_built(small), "fp16").vocabulary.log_probabilities(logits)
    assert scores == pytest.approx(np.full((1, 31), -np.log(31)))


def test_a_folder_that_is_no_build_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"manifest\.json"):
        open_built(tmp_path)


@pytest.mark.parametrize("damage", ['{"schema": 2}', "{", "[]", '{"schema": 99}'])
def test_a_damaged_manifest_is_an_error(damage: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(damage)
    with pytest.raises(BuildError, match=r"damaged|schema"):
        open_built(tmp_path)


CTC = {
    "conformer_streaming": {"width": 16, "depth": 1, "heads": 2, "inner": 16, "kernel": 3, "left": 4, "vocab": 20},
    "conformer_ctc": {"width": 16, "depth": 1, "heads": 2, "inner": 16, "kernel": 3, "characters": 20, "seconds": 4},
}


@pytest.mark.parametrize("name", CTC)
def test_an_encoder_with_ctc_is_searched_by_best_path(name: str, root: Path, speech: Path, tmp_path: Path) -> None:
    """The best classes of the whole program's frames, merged: a stream and an utterance alike."""
    folder = build(root / f"spec/{name}.mct", tmp_path / name, BuildOptions(defines=CTC[name])).folder
    built = open_built(folder)
    transcript = transcribe(built, speech, "fp32")
    program = parse_program((folder / "whole.mir").read_text())
    weights = Weights(program.sources, 0, cache=True)
    mel = log_mel(load_audio(speech), built.front_end)
    frames = -(-len(mel) // 4)
    if built.lengths.utterance:
        mel = np.pad(mel, ((0, built.lengths.utterance - len(mel)), (0, 0)), constant_values=built.front_end.silence)
    else:
        mel = mel[: len(mel) // 4 * 4]
        frames = len(mel) // 4 - 2  # the last frames of a shorter utterance see its end
    results, _ = evaluate(
        program.functions["encoder"], {"mel": mel.T[None, :, None, :]},
        lambda key: weights.deployed(program.parameters[key]),
    )  # fmt: skip
    best = results["log_probs"][0, :, 0, :frames].argmax(0)
    expected = [(int(t), i) for i, t in enumerate(best) if t != 0 and (i == 0 or t != best[i - 1])]
    assert expected
    assert [each for each in transcript.emissions if each[1] < frames] == expected
    assert transcript.calls == {}


def test_a_recording_longer_than_the_utterance_is_refused(root: Path, speech: Path, tmp_path: Path) -> None:
    sizes = {**CTC["conformer_ctc"], "seconds": 1}
    built = open_built(build(root / "spec/conformer_ctc.mct", tmp_path / "out", BuildOptions(defines=sizes)).folder)
    with pytest.raises(BuildError, match="is longer than an utterance, 1 s"):
        transcribe(built, speech)
