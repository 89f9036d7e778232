"""What an emitted package is held to: each check compares a program that Swift compiled with mctc itself, and raises
AssertionError where they differ."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from mctc.audio import MelConfig, SampleConfig, bundled_recording, load_audio, log_mel
from mctc.audio.front_end import frames_of
from mctc.decode.settings import Settings
from mctc.runtime.built import open_built
from mctc.targets.swift.description import features_of, tokens_of
from mctc.tokens import Tokens, fitted, read_tokens
from tests.targets.swift.builds import Builds
from tests.targets.swift.expected import RATE, Sound, encoded, expected, record_of, sound_of
from tests.targets.swift.toy import METHODS, random_case
from tests.targets.swift.workspace import Workspace, model_of

SECONDS, CASES = 10, 40
"""Of each kind of sound, and of each kind of search; a hundred times as much was compared once (docs/swift.md)."""


@dataclass(frozen=True)
class Proof:
    """A compiled workspace of the trained model, builds that its tool can hear with, and a folder for files."""

    workspace: Workspace
    builds: Builds
    folder: Path

    def run(self, *words: str) -> str:
        """What the proof's program prints that is told what to do, then a model, and a cache."""
        return self.workspace.run("proof", words[0], str(self.workspace.model), *words[1:])


def sounds(seconds: float) -> Iterator[Sound]:
    """Speech, noise of several levels, tones, clicks and silence at 16 kHz, none of whole hops."""
    random, count = np.random.default_rng(1), int(seconds * RATE) + 77
    time = np.arange(count) / RATE
    loudness = 10.0 ** random.uniform(-5, -0.5, int(seconds) + 2).repeat(RATE)[:count]
    sweep = np.sin(2 * np.pi * (100 + 3000 * time / seconds) * time)
    yield np.resize(load_audio(bundled_recording()), count)
    yield (random.standard_normal(count) * loudness).astype(np.float32)
    yield (0.4 * np.sin(2 * np.pi * 1000 * time) + 0.3 * sweep).astype(np.float32)
    yield ((random.random(count) < 0.001) * random.standard_normal(count)).astype(np.float32).clip(-1, 1)
    yield np.zeros(count, np.float32)


def frames(proof: Proof, seconds: float = SECONDS) -> int:
    """Frames of pieces of random length are those of training to the last bit of half precision; how many numbers."""
    given, made, compared = proof.folder / "samples", proof.folder / "frames", 0
    described = str(proof.workspace.model / "model.json")
    for seed, sound in enumerate(sounds(seconds)):
        sound.tofile(given)
        proof.workspace.run("proof", "frames", described, str(given), str(seed), str(made))
        found, expected = np.fromfile(made, np.float32), log_mel(sound).ravel()
        assert found.size == expected.size
        differ = int((found.astype(np.float16) != expected.astype(np.float16)).sum())
        assert not differ, f"{differ} of {found.size} numbers differ"
        compared += found.size
    return compared


KALDI = MelConfig(
    taper="povey", by_window=True, preemphasis=0.97, scale="kaldi", area=False, log="ln", normalise="none",
    floor=2**-23, periodic=False, framing="snipped", f_min=20.0, gain=2.0**15,
)  # fmt: skip
FRONT_ENDS: Mapping[str, MelConfig | SampleConfig] = {
    "whisper": MelConfig(fft=400, centred=True, decades=8.0),
    "nemo": MelConfig(
        preemphasis=0.97, periodic=False, centred=True, mirrored=False, partial=False, log="ln", floor=2**-24,
        added=True, normalise="recording",
    ),
    "kaldi": KALDI,
    "kaldi, the middle of frames": replace(KALDI, framing="middle", f_max=7600.0),
    "kaldi, normalised": replace(KALDI, normalise="recording"),
    "kaldi, the middle of frames, normalised": replace(KALDI, framing="middle", normalise="recording"),
    "samples": SampleConfig(bins=5),
    "samples, normalised": SampleConfig(bins=5, normalise="recording"),
}  # fmt: skip


def front_ends(proof: Proof) -> None:
    """Frames of every kind of front end are those of training: of a second, of less than a window, and of nothing."""
    given, made, model = (proof.folder / name for name in ("samples", "frames", "front_end.json"))
    described = json.loads((proof.workspace.model / "model.json").read_text())
    speech = load_audio(bundled_recording())
    for name, config in FRONT_ENDS.items():
        features = {"input": "mel", "exists": None, **features_of(config)}
        model.write_text(json.dumps({**described, "features": features}))
        for count in (RATE + 77, 300, 100, 0):
            speech[:count].tofile(given)
            proof.workspace.run("proof", "frames", str(model), str(given), "0", str(made))
            found, expected = np.fromfile(made, np.float32), frames_of(speech[:count], config).ravel()
            assert found.size == expected.size, f"{name}: {found.size} numbers of {count} samples, not {expected.size}"
            differ = int((found.astype(np.float16) != expected.astype(np.float16)).sum())
            assert not differ, f"{name}: {differ} of {found.size} numbers differ"


def searches(proof: Proof, cases: int = CASES) -> None:
    """Searches over random toy models find the labels, frames and final parts that mctc.decode finds."""
    drawn = [random_case(kind, seed) for kind in METHODS for seed in range(cases)]
    (proof.folder / "cases.json").write_text(json.dumps([case.written() for case in drawn]))
    answers = proof.workspace.run("proof", "search", str(proof.folder / "cases.json")).splitlines()
    for case, line in zip(drawn, answers, strict=True):
        answer, expected = json.loads(line), case.searched(proof.folder)
        assert answer["finals"] == expected["finals"], case.settings
        assert _labels(answer) == _labels(expected), case.settings
        np.testing.assert_allclose(_numbers(answer), _numbers(expected), atol=1e-9)


def _labels(told: dict[str, Any]) -> list[tuple[list[int], list[int]]]:
    return [(found["ids"], found["frames"]) for found in told["found"]]


def _numbers(told: dict[str, Any]) -> list[float]:
    return [number for found in told["found"] for number in (*found["confidences"], found["score"])]


def recording(proof: Proof) -> None:
    """A recording is heard, greedily, as by `mctc run`."""
    _heard_alike(proof, proof.builds.trained, "start", Settings(), ())


def beam(proof: Proof) -> None:
    """The same with the beam of one label a frame."""
    _heard_alike(proof, proof.builds.trained, "start", Settings(method="beam"), ("--search", "beam"))


def several(proof: Proof) -> None:
    """The same with the beam of several labels a frame, and a hotword."""
    options = ("--search", "time-synchronous", "--window", "6", "--hotword", "he", "--boost", "3")
    _heard_alike(proof, proof.builds.trained, "start", Settings(method="time-synchronous", window=6.0), options, "he")


def ahead(proof: Proof) -> None:
    """The same of a model whose encoder looks ahead, of recordings that end with a chunk and within one."""
    for name in ("chunks", "start"):
        _heard_alike(proof, proof.builds.ahead, name, Settings(), ())


def chunks(proof: Proof) -> None:
    """The same of a model that is called at another of its chunks."""
    path = proof.folder / "start.wav"
    sf.write(path, sound_of("start"), RATE, subtype="FLOAT")
    workspace = replace(proof.workspace, model=model_of(proof.builds.ahead))
    (record,) = workspace.transcribe([path], proof.folder / "cache", "--chunk", "0.08")
    expected = record_of(proof.builds.ahead, sound_of("start"), Settings(), chunk=Fraction(8, 100))
    assert (record["tokens"], record["words"]) == (expected["tokens"], expected["words"])


def pause(proof: Proof) -> None:
    """The same of a recording of two utterances."""
    _heard_alike(proof, proof.builds.trained, "pause", Settings(), ())


def durations(proof: Proof) -> None:
    """The same of transducers with durations: where the spec says them, behind the labels or in a result of their own,
    and where it does not."""
    for build in (proof.builds.behind, proof.builds.apart):
        _heard_alike(proof, build, "start", Settings(), ())
        _heard_alike(proof, build, "chunks", Settings(method="time-synchronous"), ("--search", "time-synchronous"))
    told = Settings(durations=(0, 1, 2, 4))
    _heard_alike(proof, proof.builds.ahead, "start", told, ("--durations", "0,1,2,4"))


def together(proof: Proof) -> None:
    """Two recognizers at once, and one behind a reset, hear what each alone hears."""
    speech = load_audio(bundled_recording())
    sounds = [_samples(proof, "one", speech[: 2 * RATE]), _samples(proof, "other", speech[3 * RATE : 5 * RATE])]
    told = proof.run("together", str(proof.folder / "cache"), *sounds)
    assert told.startswith("labels"), told


def crowd(proof: Proof) -> None:
    """Six recognizers at once by every search, beside six that are given up, hear what each alone hears."""
    sound = _samples(proof, "sound", load_audio(bundled_recording())[:RATE])
    told = proof.run("crowd", str(proof.folder / "cache"), sound)
    assert told.startswith("differ 0 "), told


def beside(proof: Proof) -> None:
    """Two packages in one program don't disturb each other, and the one of features makes those that mctc makes."""
    sound = load_audio(bundled_recording())[:RATE]
    model, cache = str(model_of(proof.builds.features)), str(proof.folder / "cache")
    told = json.loads(proof.run("beside", model, cache, _samples(proof, "sound", sound)))
    assert told["equal"]
    np.testing.assert_array_equal(np.float32(told["rows"]), encoded(proof.builds.features, sound))


def placement(proof: Proof) -> None:
    """The report of where functions run has the build's prediction, and the plan of Core ML."""
    (packages,) = json.loads((proof.builds.trained / "placement.json").read_text())["packages"]
    predicted = {each["name"]: each for each in packages["functions"]}
    lines = [line.split() for line in proof.run("placement", str(proof.folder / "cache")).splitlines()]
    assert [line[0] for line in lines] == sorted(predicted) * 2
    for number, (name, operations, share, planned) in enumerate(lines):
        assert int(operations) > 0
        assert float(share) == pytest.approx(predicted[name]["shares"].get("ane", 0.0))
        assert float(planned) == float(number < len(predicted) and name == "encoder")


def shipped(proof: Proof) -> None:
    """A model that is shipped compiled is loaded as it is, and hears the same."""
    model, (package,) = proof.folder / "Shipped", proof.workspace.model.glob("*.mlpackage")
    (model / f"{package.stem}.mlmodelc").mkdir(parents=True, exist_ok=True)
    (model / f"{package.stem}.mlmodelc/package").write_text(str(package))
    (model / "model.json").write_bytes((proof.workspace.model / "model.json").read_bytes())
    path, cache = proof.folder / "shipped.wav", proof.folder / "unused"
    sf.write(path, sound_of("chunks"), RATE, subtype="FLOAT")
    (record,) = replace(proof.workspace, model=model).transcribe([path], cache)
    assert record["text"] == expected(proof.builds.trained, "chunks", Settings())["text"]
    assert not cache.exists()


def buffers(proof: Proof) -> None:
    """Buffers of an audio device, one after another, become the samples that all of them at once become."""
    assert proof.workspace.run("proof", "buffers") == "equal\n"


def microphone(proof: Proof) -> None:
    """Calls, other routes, pauses and resets of the system lose nothing that was said before and after them, and the
    end of each is heard."""
    told = proof.run("microphone", str(proof.folder / "cache"))
    assert told == "rows 56 utterances 4 more 0\n", told


def utterances(proof: Proof) -> None:
    """Two utterances of one stream are heard as two recordings; the times of the second go on."""
    speech = load_audio(bundled_recording())
    sounds = [_samples(proof, "one", speech[: 2 * RATE + 77]), _samples(proof, "other", speech[3 * RATE : 5 * RATE])]
    told = proof.run("utterances", str(proof.folder / "cache"), *sounds)
    assert re.fullmatch(r"finals 2 labels \[[1-9]\d*, [1-9]\d*\]\n", told), told


def compiled(proof: Proof) -> None:
    """A model is compiled once, before it is loaded where that is asked for, and what is left of another build goes."""
    cache = proof.folder / "compiled"
    lines = proof.run("compiled", str(cache)).splitlines()
    digest = json.loads((proof.workspace.model / "model.json").read_text())["digest"]
    kept = f"mct_tiny/{digest}/mct_tiny.mlmodelc"
    assert lines == [kept, "loaded", f"1 {kept}"]


def spelling(proof: Proof) -> None:
    """Texts are spelled as the library spells them: with the tokens of the trained model, with pairs of pieces and
    bytes, and with letters."""
    given = proof.folder / "texts.txt"
    given.write_text("\n".join(TEXTS))
    for name, tokens in (("trained", open_built(proof.builds.trained).tokens), ("pairs", byte_pairs(proof.folder))):
        assert tokens is not None
        table = proof.folder / f"{name}.json"
        table.write_text(json.dumps(tokens_of(tokens)))
        lines = proof.workspace.run("proof", "spell", str(table), str(given)).splitlines()
        for text, line in zip(TEXTS, lines, strict=True):
            ids = tokens.encode(text)
            unknown = any(not tokens.pieces[each] or each in tokens.special for each in ids)
            assert [int(each) for each in line.split()] == ([] if unknown else ids), text


def byte_pairs(folder: Path) -> Tokens:
    """Tokens of pairs of pieces, with bytes for characters that are in none, behind a blank."""
    import sentencepiece

    made = folder / "pairs.txt"
    made.write_text("\n".join(TEXTS[:-1] * 3))
    sentencepiece.SentencePieceTrainer.Train(
        input=str(made), model_prefix=str(folder / "pairs"), vocab_size=330, model_type="bpe", byte_fallback=True,
        character_coverage=0.98, minloglevel=2,
    )  # fmt: skip
    tokens = read_tokens(folder / "pairs.model")
    return fitted(tokens, tokens.size + 1, 0)


TEXTS = (
    "harbor", "the captain remembered his new coat", "  two   spaces ", "wenimore kellanova", "a", "she sells shells",
    "in the middle of summer", "\N{LATIN SMALL LIGATURE FI}ne ½ \N{FULLWIDTH LATIN CAPITAL LETTER A}bc",
    "naïve café", "zürich", "it's o'clock", "thirty-two", "über 日本",
)  # fmt: skip


CHECKS: Mapping[str, Callable[[Proof], object]] = {
    each.__name__: each
    for each in (
        frames, front_ends, searches, recording, beam, several, ahead, chunks, pause, durations, together, crowd,
        beside, placement, shipped, buffers, microphone, utterances, compiled, spelling,
    )
}  # fmt: skip


def _samples(proof: Proof, name: str, sound: Sound) -> str:
    """The path of a file of single-precision samples."""
    path = proof.folder / name
    sound.tofile(path)
    return str(path)


def _heard_alike(
    proof: Proof, build: Path, name: str, settings: Settings, options: tuple[str, ...], hotword: str | None = None
) -> None:
    path = proof.folder / f"{name}.wav"
    sf.write(path, sound_of(name), RATE, subtype="FLOAT")
    workspace = replace(proof.workspace, model=model_of(build))
    (record,) = workspace.transcribe([path], proof.folder / "cache", *options)
    found = {**record, "seconds": record["seconds"]["audio"]}
    found.pop("audio")
    assert found == expected(build, name, settings, hotword)
