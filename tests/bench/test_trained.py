"""The error tables of a trained model: what happens to recordings, and what is said of what was heard."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.score.conftest import Place, place

__all__ = ["place"]
RATE = 16_000


@pytest.fixture(autouse=True)
def benchmark_importable(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tree comes last on the path, as in bench/run.py, so that `mctc` stays the installed one."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(root)])
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "bench"]:
        del sys.modules[name]


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return 0.1 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def test_noise_is_as_far_below_the_speech_as_asked_for() -> None:
    from bench.trained.sound import noisy

    speech = tone(440)
    noise = noisy(speech, 10, np.random.default_rng(0)) - speech
    assert 10 * np.log10(np.mean(speech**2) / np.mean(noise**2)) == pytest.approx(10, abs=1e-6)
    low, high = (np.mean(np.abs(np.fft.rfft(noise)[at : 2 * at]) ** 2) for at in (500, 4000))
    assert low / high == pytest.approx(8, rel=0.3)  # power falls as one over the frequency
    assert np.abs(noisy(speech, -40, np.random.default_rng(0))).max() <= 1


def test_levels_are_of_the_peak() -> None:
    from bench.trained.sound import levelled, sixteen_bits

    assert np.abs(levelled(tone(440), -20)).max() == pytest.approx(0.1, rel=1e-3)
    assert not levelled(np.zeros(8), -20).any()
    assert sixteen_bits(np.array([-2.0, -1.0, 0.0, 1.0])).tolist() == [-32768, -32768, 0, 32767]


def test_a_telephone_lets_speech_through_and_nothing_above_or_below() -> None:
    from bench.trained.sound import narrow, telephone

    def share(change, hertz: float) -> float:
        return float(np.std(change(tone(hertz))) / np.std(tone(hertz)))

    assert [share(narrow, hertz) for hertz in (100, 1000, 3000)] == pytest.approx([1, 1, 1], abs=0.05)
    assert share(narrow, 5000) < 0.02
    assert share(telephone, 1000) == pytest.approx(1, abs=0.05)
    assert max(share(telephone, hertz) for hertz in (50, 5000)) < 0.05


def test_joined_utterances_are_one_whose_words_end_where_they_do(place: Place, tmp_path: Path) -> None:
    from bench.trained.conditions import PLAIN, Condition, manifests
    from bench.trained.model import Asked, Model

    model = Model(place.build, place.folder / "loud.safetensors", (place.manifest,), tmp_path, Asked(3, 1, 1, 1))
    (path,) = manifests(model, Condition("two in one", gap_s=1.5, group=2)).values()
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["id"], first["text"], second["text"]) == ("two-in-one/one", "a a a A b, a", "a a")
    assert first["duration"] == pytest.approx(2 * 2.7 + 1.5)
    assert [word["end"] for word in first["words"]] == pytest.approx([0.6, 1.5, 2.4, 4.8, 5.7, 6.6])
    (plain,) = manifests(model, PLAIN, 2).values()
    assert len(plain.read_text().splitlines()) == 2


def test_cells_say_rates_and_changes() -> None:
    from bench.trained.cells import bare, change, late, rate
    from bench.trained.model import Heard
    from mctc.score.alignment import Counts

    one = [Heard(str(n), Counts(10, n % 2, 0, 0), "a" * (n % 2), (0.1, 0.2)) for n in range(20)]
    other = [Heard(str(n), Counts(10, 1, 0, 0), "a", ()) for n in range(20)]
    assert bare(one) == "5.0 %"
    assert rate(one).startswith("5.0 % (")
    points, between, flipped = change(one, other)
    assert (points, flipped) == ("+5.00", "10 of 20")
    assert between
    assert late(one) == ("150 ms", "200 ms", "40")
    assert late(other) == ("", "", "0")
    with pytest.raises(ValueError, match="the same utterances"):
        change(one, other[:5])


@pytest.mark.slow  # builds for each engine; the parts are tested above
def test_the_tables_of_a_model_are_made_and_kept(place: Place, tmp_path: Path) -> None:
    from bench.trained.__main__ import main

    for needed in ("onnxruntime", "torch", "jiwer"):
        pytest.importorskip(needed)
    out, weights = tmp_path / "tables.md", place.folder / "loud.safetensors"
    told = [str(place.build), str(place.manifest), "--weights", str(weights), "--work", str(tmp_path / "work")]
    told += ["--limit", "3", "--sample", "2", "--minutes", "1", "--jobs", "1", "--out", str(out)]
    main([*told, "--tables", "sets,through,chunks,drift"])
    text = out.read_text()
    assert "| nemo | 3, 2 by packages | 25.0 % " in text
    assert "| the package against onnxruntime, the same int4/int8 | +0.00 | 0.0 to 0.0 | 0 of 2 |" in text
    assert "| telephone |" in text
    assert all(f"| {ms} ms | 25.0 % " in text for ms in (40, 1280))
    assert "| package evaluator, fp16 |" in text
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.jsonl")}
    main([*told, "--tables", "sets,through,chunks"])
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    with pytest.raises(SystemExit, match="there are no tables words; there are: sets"):
        main([*told, "--tables", "words"])
