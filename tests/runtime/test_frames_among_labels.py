"""Decoders that read frames among their labels: what the host feeds is the sequence that the objective trains."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.audio import bundled_recording, log_mel
from mctc.cli.main import run
from mctc.decode.frames import Floats
from mctc.diagnostics.errors import UsageError
from mctc.driver import BuildOptions, build
from mctc.driver.options import BuildError
from mctc.runtime.built import open_built
from mctc.runtime.decoding import Asked, Search, search_of
from mctc.runtime.encoder_decoder import EncoderDecoder
from mctc.runtime.stream import front_end_of
from mctc.runtime.utterance import transcribe_samples
from tests.architectures.proof import Proof, largest_error

BEFORE, BEGIN, TEXT = (4, 5), (6, 1), (7, 9, 3, 8)
LIMIT = 1e-5


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    return Proof.of(Path(__file__).with_name("frames_and_rows.mct"), tmp_path_factory.mktemp("rows"), ["ane"])


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    return Proof.of(Path(__file__).with_name("frames_and_tokens.mct"), tmp_path_factory.mktemp("tokens"), ["ane"])


def sound(seconds: float) -> np.ndarray:
    """Noise."""
    return np.random.default_rng(0).normal(size=int(16_000 * seconds)).astype(np.float32) / 10


def written(engine: EncoderDecoder, begin: tuple[int, ...]) -> Floats:
    """Logits behind the beginning, and behind each label of TEXT."""
    logits, state = engine.start(begin)
    found = [logits]
    for label in TEXT:
        (logits,), (state,) = engine.predict([label], [state])
        found.append(logits)
    return np.stack(found)[:, :12]


def test_frames_stand_between_rows_of_the_prompt_and_the_text(rows: Proof) -> None:
    built = rows.built["ane"]
    mel = log_mel(sound(1.3), front_end_of(built))
    assert mel.shape == (134, 80)  # a second of 100 and 4 of zeros, and 30
    assert not mel[100:104].any()
    engine = EncoderDecoder(built, {}, "fp32")
    engine.hear(mel, before=BEFORE)
    whole = np.pad(mel, ((0, 2), (0, 0)))  # whole strides of 8
    frames = rows.by_reference("encoder", {"mel": whole[None]})["output"][0]
    table = rows.weights["decoder.table"]
    sequence = np.concatenate([table[list(BEFORE)], frames, table[[*BEGIN, *TEXT]]])
    places = np.arange(len(sequence))[None]
    want = rows.by_reference("decoder", {"label": sequence[None], "position": places})["output"][0]
    assert engine.room(BEGIN) == 64 - len(BEFORE) - 17 - len(BEGIN)
    assert largest_error(written(engine, BEGIN), want[-len(TEXT) - 1 :]) <= LIMIT


def test_frames_stand_in_front_of_tokens(tokens: Proof) -> None:
    built = tokens.built["ane"]
    mel = log_mel(sound(0.5), front_end_of(built))
    engine = EncoderDecoder(built, {}, "fp32")
    engine.hear(mel)
    frames = tokens.by_reference("encoder", {"mel": np.pad(mel, ((0, 6), (0, 0)))[None]})["memory"][0]
    labels = np.array([*len(frames) * [0], 1, *TEXT])
    memory = np.concatenate([frames, np.zeros((1 + len(TEXT), 8))])
    given = {"token": labels[None], "memory": memory[None], "said": (np.arange(len(labels)) >= len(frames))[None]}
    want = tokens.by_reference("decoder", {**given, "said": given["said"].astype(float)})["output"][0]
    assert engine.room([1]) is None
    assert largest_error(written(engine, (1,)), want[-len(TEXT) - 1 :]) <= LIMIT


def test_a_manifest_says_what_each_input_is_given(rows: Proof, tokens: Proof) -> None:
    given = [
        {port.spec: port.given for port in proof.built["ane"].functions[name].inputs if port.given is not None}
        for proof in (rows, tokens)
        for name in ("decoder", "decoder_prefill")
    ]
    assert given[:2] == 2 * [{"label": "row"}]
    assert given[2:] == 2 * [{"token": "token", "memory": "frame", "said": "is_token"}]
    assert rows.built["ane"].manifest["prompt"] == {
        "begin": [6, 1], "end": 2, "before": [4, 5], "context": 1, "heading": 3,
    }  # fmt: skip


def test_what_is_asked_becomes_labels_of_the_build(rows: Proof) -> None:
    built = rows.built["ane"]
    search = search_of(built, Asked(context="kl", prefix="gh|a"))
    assert (search.before, search.start, search.prefix) == ((4, 10, 11, 5), (6, 1, 6, 7, 3, 0), 4)
    assert search_of(built, Asked(start=("h", "3"), end="i")).start == (7, 3)
    with pytest.raises(UsageError, match="no token spells"):
        search_of(built, Asked(context="?"))
    with pytest.raises(UsageError, match="have no start"):
        search_of(built, Asked(start=("start",)))


def test_a_decoder_without_a_place_for_a_context_is_told_none(tokens: Proof) -> None:
    with pytest.raises(UsageError, match="no place for what is told of a recording"):
        search_of(tokens.built["ane"], Asked(context="names"))


def test_a_heading_is_no_part_of_the_text(rows: Proof, capsys: Any) -> None:
    """`language X|` in front, as the prefix has it, and whatever the decoder then says."""
    asked = ["--prefix", "language X|", "--max-tokens", "3", "--json"]
    assert run(["run", str(rows.built["ane"].folder), str(bundled_recording()), *asked]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["language"] == "X"
    assert all(piece["heading"] == [4, 5] for piece in told["pieces"])
    assert "language" not in told["text"]


def test_a_longer_recording_is_cut_into_what_the_cache_has_room_for(rows: Proof) -> None:
    built = rows.built["ane"]
    engine, config = EncoderDecoder(built, {}, "fp32"), front_end_of(built)
    heard = sound(9.0)
    heard[24_000:25_600] = 0  # a silence within what fits
    search = Search(BEGIN, 2, 3, before=BEFORE)
    found = transcribe_samples(engine, config, heard, search, "noise")
    ends = [piece.end for piece in found.pieces]
    assert 1.5 <= ends[0] <= 1.6
    assert ends[-1] == 9.0
    assert all(piece.end - piece.start <= 40 * 8 / 104 + 1e-6 for piece in found.pieces)
    alone = [heard[round(16_000 * piece.start) : round(16_000 * piece.end)] for piece in found.pieces]
    each = [transcribe_samples(engine, config, part, search, "part").tokens for part in alone]
    assert found.tokens == tuple(label for labels in each for label in labels)


def test_a_prompt_that_leaves_no_room_is_refused(rows: Proof) -> None:
    engine = EncoderDecoder(rows.built["ane"], {}, "fp32")
    with pytest.raises(BuildError, match="behind 52 labels of a prompt a cache of 64 has no room"):
        transcribe_samples(engine, front_end_of(engine.built), sound(1), Search(BEGIN, 2, before=50 * (4,)), "noise")


def test_rows_of_a_table_that_a_package_splits_are_all_there(tmp_path: Path) -> None:
    text = Path(__file__).with_name("frames_and_rows.mct").read_text(encoding="utf-8")
    (tmp_path / "large.mct").write_text(re.sub(r"\n    tokens \{.*\}", "", text), encoding="utf-8")
    folder = build(tmp_path / "large.mct", tmp_path / "built", BuildOptions(defines={"vocab": 40_000})).folder
    (port,) = [port for port in open_built(folder).functions["decoder"].inputs if port.given == "row"]
    assert port.row_of is not None
    assert np.load(port.row_of).shape == (40_000, 8)
