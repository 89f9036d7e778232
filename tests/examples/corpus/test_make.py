"""Corpora that are made: by an engine of tones, and by espeak-ng where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import pytest

from corpus.__main__ import main
from corpus.inputs import Inputs
from corpus.make import make_corpus
from corpus.plan import SELECTED_S, Settings, _selected, _varied, planned
from corpus.prompts import Prompt
from corpus.shards import lines_of, make, sound_of
from corpus.sound import RATE, Said
from corpus.voice import Manner
from corpus.words import words
from mctc.score.manifests.nemo import read_nemo
from tests.conftest import ROOT

VOICES = {"espeak": ("en+m1", "en+f2"), "flite": ("awb", "rms", "slt")}


class Tones:
    """Says a letter by a tone of 20 ms."""

    warps = True

    def __init__(self, name: str) -> None:
        self.name, self.voices = name, VOICES[name]

    def speak(self, asked: Sequence[tuple[str, Manner]]) -> Iterator[Said]:
        for text, _ in asked:
            yield Said(np.sin(np.arange(320 * len(text)) / 5).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def toned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Manifests by set, of two engines whose voices are tones."""
    folder = tmp_path_factory.mktemp("toned")
    (folder / "shards").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, count in (("TESTS", {"espeak": 30, "flite": 20}), ("UNHEARD", 20), ("DEV", 5)):
            patch.setattr(f"corpus.plan.{name}", count)
        plan = planned(Inputs(None), VOICES, Settings(hours=0.1))
    sets: dict[str, list[dict[str, Any]]] = {}
    for shard in plan.shards:
        make(plan, shard, {name: lambda name=name: Tones(name) for name in VOICES}, folder)
        sets.setdefault(shard.set, []).extend(map(json.loads, lines_of(folder, shard).read_text().splitlines()))
        with wave.open(str(sound_of(folder, shard))) as sound:
            last = sets[shard.set][-1]
            assert round((last["offset"] + last["duration"]) * RATE) == sound.getnframes()
    return sets


def test_training_is_as_long_as_asked(toned: dict[str, list[dict[str, Any]]]) -> None:
    assert sum(entry["duration"] for entry in toned["train"]) / 3600 == pytest.approx(0.1, rel=0.05)


def test_a_voice_is_in_one_test_and_nowhere_else(toned: dict[str, list[dict[str, Any]]]) -> None:
    assert {name for name, entries in toned.items() if any(entry["voice"] == "flite:rms" for entry in entries)} == {
        "test-unheard"
    }
    assert {entry["voice"] for entry in toned["test-unheard"]} == {"flite:rms"}
    assert {entry["voice"] for entry in toned["test-flite"]} == {"flite:awb", "flite:slt"}


def test_no_text_is_in_two_sets(toned: dict[str, list[dict[str, Any]]]) -> None:
    texts = [{entry["text"] for entry in entries} for entries in toned.values()]
    assert sum(map(len, texts)) == len(set().union(*texts))
    assert [len(toned[name]) for name in ("test-espeak", "test-flite", "test-unheard", "dev")] == [30, 20, 20, 10]


def test_another_engine_of_training_leaves_the_tests_as_they_are() -> None:
    sentences = [f"sentence {at}." for at in range(2000)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Inputs, "sentences", lambda *_: sentences)
        plans = [
            planned(Inputs(None), VOICES | more, Settings(hours=0.1))
            for more in ({}, {"pico": ("en-US",)}, {"pico": ("en-US",), "rhvoice": ("bdl",)})
        ]
    tests = [{shard.name: shard.texts for shard in plan.shards if shard.set != "train"} for plan in plans]
    for fewer, more, new in zip(tests, tests[1:], ("dev-pico", "dev-rhvoice"), strict=False):
        assert {name: more[name] for name in fewer} == fewer
        assert set(more) - set(fewer) == {new}


def test_tests_have_sentences_too_long_for_training_whatever_the_list() -> None:
    longer = [" ".join(["word"] * 22 + [f"w{at}"]) + "." for at in range(1300)]
    plans = []
    for shorter in (100, 101):
        known = [f"sentence {at}." for at in range(shorter)] + longer
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Inputs, "sentences", lambda *_, known=known: known)
            plans.append(planned(Inputs(None), VOICES, Settings(hours=0.1)))
    for plan in plans:
        assert all(text in longer for shard in plan.shards for text in shard.texts)
        assert not set(plan.source.sentences) & set(longer)
    assert [len(plan.source.sentences) for plan in plans] == [100, 101]


def test_utterances_follow_one_another_in_words(toned: dict[str, list[dict[str, Any]]]) -> None:
    for entries in toned.values():
        for entry, following in pairwise(entries):
            assert entry["text"] == words(entry["text"])
            if following["audio_filepath"] == entry["audio_filepath"]:
                assert following["offset"] == pytest.approx(entry["offset"] + entry["duration"])


def test_some_recordings_begin_at_once(spoken: Path) -> None:
    """A model that always heard silence first loses the first words of one that doesn't."""
    with wave.open(str(next((spoken / "shards").glob("train-*.wav")))) as sound:
        heard = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(float)
    entries = [json.loads(line) for line in (spoken / "train.jsonl").read_text().splitlines()]
    first = [heard[round(each["offset"] * RATE) :][: RATE // 20] for each in entries]
    loud = [np.abs(each).max() > 0.05 * np.abs(heard).max() for each in first]
    assert 0 < np.mean(loud) < 0.5


@pytest.fixture
def prompts(tmp_path: Path) -> list[Prompt]:
    random = np.random.default_rng(0)
    found = []
    for at in range(90):
        path = tmp_path / f"{at}.g722"
        path.write_bytes(random.integers(0, 256, 800, np.uint8).tobytes())
        found.append(Prompt(str(at), path, f"number {ascii_lowercase[at % 26]}"))
    return found


def test_prompts_are_varied_and_joined(prompts: list[Prompt], tmp_path: Path) -> None:
    shards = _varied(prompts, Settings(hours=0.9))
    assert [len(shard.prompts) for shard in shards] == [60]
    assert {each.name for shard in _varied(prompts, Settings(hours=20)) for each in shard.prompts} == set(
        map(str, range(90))
    )
    (tmp_path / "shards").mkdir()
    shard = replace(shards[0], seconds=30.0)
    make(planned(Inputs(None), VOICES, Settings(hours=0.1)), shard, {}, tmp_path)
    entries = [json.loads(line) for line in lines_of(tmp_path, shard).read_text().splitlines()]
    assert sum(each["duration"] for each in entries) == pytest.approx(30, abs=10)
    assert {len(each["text"].split()) // 2 for each in entries} == {1, 2, 3, 4}
    assert len({each["warp"] for each in entries}) > len(entries) // 2


def test_pieces_of_prompts_are_often_as_the_person_said_them(
    prompts: list[Prompt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In new orders they can't be known by heart, so not all are disguised, and one alone is an utterance."""
    monkeypatch.setattr("corpus.shards.ends_of", lambda _: (0.05, 0.1))
    (tmp_path / "shards").mkdir()
    shard = replace(_varied(prompts, Settings(hours=0.9))[0], seconds=60.0)
    make(planned(Inputs(None), VOICES, Settings(hours=0.1)), shard, {}, tmp_path)
    entries = [json.loads(line) for line in lines_of(tmp_path, shard).read_text().splitlines()]
    plain = [entry for entry in entries if "warp" not in entry]
    assert 0.1 < len(plain) / len(entries) < 0.5
    assert {len(entry["text"].split()) // 2 for entry in plain} >= {1, 2, 3, 4, 5}


def test_a_voice_that_an_engine_has_not_is_an_error() -> None:
    with pytest.raises(ValueError, match="flite has no voice bob; it has awb, rms, slt"):
        planned(Inputs(None), VOICES, Settings(hours=1, unheard="flite:bob"))


@pytest.mark.parametrize(
    "told",
    ["--hours 0", "--hours -1", "--hours nan", "--hours inf", "--hours x", "--seed -1", "--sentences -3",
     "--sentences 0", "--sentences x", "--processes 0", "--processes 1.5"],
)  # fmt: skip
def test_numbers_that_make_no_corpus_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str], told: str) -> None:
    option, number = told.split()
    with pytest.raises(SystemExit):
        main(["make", str(tmp_path / "corpus"), f"{option}={number}"])
    assert f"argument {option}: {number} is not " in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ("--unheard espeak:bob", r"espeak has no voice bob; it has en-us\+m1, .*, and \d+ more$"),
        ("--unheard rms", "no engine is called rms, of ENGINE:VOICE"),
    ],
)
def test_a_refused_corpus_can_be_asked_for_rightly_in_the_same_folder(tmp_path: Path, told: str, error: str) -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(SystemExit, match=error):
        main(["make", str(tmp_path), *told.split()])
    assert list(tmp_path.iterdir()) == []


def test_few_sentences_need_the_engine_that_says_them() -> None:
    with pytest.raises(ValueError, match="leave --sentences out"):
        planned(Inputs(None), {"flite": VOICES["flite"]}, Settings(hours=1, sentences=10))


def test_sentences_that_the_tests_use_up_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inputs, "sentences", lambda *_: ["a boat."] * 300)
    with pytest.raises(ValueError, match="dev and tests take all 300 sentences"):
        planned(Inputs(None), VOICES, Settings(hours=1))


def test_a_corpus_does_not_go_on_with_other_inputs(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    (tmp_path / "settings.json").write_text(
        json.dumps(asdict(Settings(hours=0.02, sentences=10, inputs="0123"))) + "\n"
    )
    with pytest.raises(SystemExit, match='"inputs": "0123"}; name another folder'):
        main(["make", str(tmp_path), "--hours", "0.02", "--sentences", "10"])
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    ("there", "error"),
    [
        (
            ["espeak", "flite"],
            "nothing speaks: --without leaves out all of espeak, flite; person and selection only add",
        ),
        ([], "nothing speaks: pip install espeakng-loader"),
    ],
)
def test_where_no_engine_speaks_it_is_said_whether_one_was_left_out(
    tmp_path: Path, there: list[str], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Inputs, "engines", lambda _: dict.fromkeys(there))
    with pytest.raises(SystemExit, match=error):
        main(["make", str(tmp_path), "--without", "espeak", "flite"])
    assert list(tmp_path.iterdir()) == []


def test_hours_are_divided_in_shards_that_share_no_sentence() -> None:
    plan = planned(Inputs(None), VOICES, Settings(hours=2))
    train = [shard for shard in plan.shards if shard.set == "train"]
    assert len({shard.number for shard in train}) == len(train) == train[0].step
    assert sum(shard.seconds for shard in train) == pytest.approx(7200)


def made(folder: Path, processes: int) -> None:
    """A corpus of ten sentences by espeak-ng, made as a user does.

    What an engine spoke before, in a process or in the one that it was forked from, is heard in what it speaks.
    """
    told = ["--sentences", "10", "--hours", "0.02", "--processes", str(processes)]
    place = {**os.environ, "PYTHONPATH": str(ROOT / "examples/speech")}
    subprocess.run([sys.executable, "-m", "corpus", "make", str(folder), *told], env=place, check=True)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of ten sentences by espeak-ng."""
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("spoken")
    made(folder, 1)
    return folder


def test_the_bytes_do_not_depend_on_the_processes(spoken: Path, tmp_path: Path) -> None:
    made(tmp_path, 3)
    names = sorted(path.relative_to(spoken) for path in spoken.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert not [name for name in names if (spoken / name).read_bytes() != (tmp_path / name).read_bytes()]


def test_what_was_stopped_goes_on(spoken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, 2)
    kept = sorted((tmp_path / "shards").glob("*.jsonl"))
    times = {path: path.stat().st_mtime_ns for path in kept}
    kept[0].unlink()
    (tmp_path / "train.jsonl").unlink()
    made(tmp_path, 2)
    assert [path for path in kept if path.stat().st_mtime_ns != times[path]] == kept[:1]
    assert (tmp_path / "train.jsonl").read_bytes() == (spoken / "train.jsonl").read_bytes()
    with pytest.raises(ValueError, match="other settings"):
        make_corpus(Inputs(None), tmp_path, Settings(hours=0.02, sentences=10, seed=2), 2)


def test_ten_sentences_are_said_and_their_words_end_in_order(spoken: Path) -> None:
    texts = {utterance.text for utterance in read_nemo(spoken / "dev.jsonl")}
    assert len(texts) == 10
    for name in ("train", "dev", "test-espeak"):
        for utterance in read_nemo(spoken / f"{name}.jsonl"):
            part = name == "train" and any(f" {utterance.text} " in f" {text} " for text in texts)
            assert utterance.text in texts or part
            ends = [word.end for word in utterance.words]
            assert ends == sorted(ends)
            assert 0 < ends[0] <= ends[-1] < (utterance.duration or 0) + 0.001


@pytest.mark.parametrize("count", ["0", "-3", "many"])
def test_a_number_of_processes_is_one_or_more(count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """None would wait for itself."""
    with pytest.raises(SystemExit) as ended:
        main(["make", str(tmp_path / "corpus"), "--processes", count])
    assert ended.value.code == 2
    assert "--processes" in capsys.readouterr().err


def test_other_texts_are_said_by_all_of_a_persons_prompts_for_whole_hours(tmp_path: Path) -> None:
    prompts = [Prompt(name, tmp_path / name, name) for name in ("one", "two")]
    shards = _selected(prompts, Settings(hours=20))
    assert [(shard.prompts, shard.seconds) for shard in shards] == [(tuple(prompts), SELECTED_S)] * 3
    assert len({shard.name for shard in shards}) == 3
    assert {shard.number for shard in shards} == set(range(3))
    assert _selected(prompts, Settings(hours=3)) == _selected([], Settings(hours=20)) == []
