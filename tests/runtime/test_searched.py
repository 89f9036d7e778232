"""Searches over builds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.decode.hypothesis import Hypothesis
from mctc.decode.settings import Method, Settings
from mctc.driver import BuildOptions, build
from mctc.language import elaborate_file
from mctc.runtime.built import Built, open_built
from mctc.runtime.searched import Recogniser, recogniser
from mctc.runtime.speech import chunks_of, transcribe
from mctc.runtime.stream import front_end_of


def heard(built: Built, speech: Path, settings: Settings) -> tuple[Recogniser, Hypothesis]:
    model = recogniser(built, "fp32")
    encoder, search = model.stream(), model.search(settings)
    for mel, valid in chunks_of(front_end_of(built), speech, encoder.chunk):
        search.accept(encoder.push(mel, valid))
    search.accept(encoder.finish())
    return model, search.finish()[0]


def test_greedy_search_of_a_transducer_calls_its_functions_once_a_label_and_chunk(ahead: Path, speech: Path) -> None:
    built = open_built(ahead)
    model, found = heard(built, speech, Settings(max_symbols=2))
    expected = transcribe(built, speech, "fp32", Settings(max_symbols=2))
    assert expected.emissions == list(zip(found.ids, found.frames))
    assert found.ids
    assert model.engine is not None
    assert model.engine.calls["predictor"] == len(found.ids) + 1


@pytest.mark.parametrize("method", ["greedy", "time-synchronous"])
def test_durations_are_the_last_entries_of_the_vocabulary(method: Method, small: Path, speech: Path) -> None:
    """31 entries, of which four are durations here."""
    told = Settings(method=method, durations=(0, 1, 2, 4), max_symbols=2)
    _, found = heard(open_built(small), speech, told)
    assert found.ids
    assert max(found.ids) < 27
    assert max(found.frames.count(frame) for frame in found.frames) <= 2


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model with durations, behind its classes or in a result of their own, with the same weights."""
    from safetensors.numpy import save_file

    folder, spec = tmp_path_factory.mktemp("durations"), root / "tests/runtime/durations.mct"
    rng = np.random.default_rng(5)
    program = elaborate_file(spec)
    weights = {n: rng.normal(scale=0.6, size=t.shape).astype(np.float32) for n, (t, _) in program.sources.items()}
    weights["joiner.out.bias"][29] += 1.5  # the blank
    split = {f"joiner.{to}.{kind}": weights[f"joiner.out.{kind}"][rows] for to, rows in
             (("out", slice(30)), ("spans", slice(30, 34))) for kind in ("weight", "bias")}  # fmt: skip
    built = {}
    for name, values in {"behind": weights, "apart": {**weights, **split}}.items():
        save_file(values, folder / f"{name}.safetensors")
        options = BuildOptions(weights=folder / f"{name}.safetensors", defines={"apart": name == "apart"})
        built[name] = build(spec, folder / name, options).folder
    return built


@pytest.mark.parametrize("name", ["behind", "apart"])
def test_a_build_knows_its_durations(name: str, trained: dict[str, Path], speech: Path) -> None:
    """The search takes token and duration at a frame and goes on by it, as the model's own numbers say."""
    built = open_built(trained[name])
    assert built.durations == (0, 1, 2, 4)
    model, found = heard(built, speech, Settings(max_symbols=2))
    assert (model.vocabulary.size, len(set(found.ids)) > 3) == (30, True)
    encoder, engine = model.stream(), model.engine
    assert engine is not None
    parts = [encoder.push(mel, n) for mel, n in chunks_of(front_end_of(built), speech, encoder.chunk)]
    frames = np.concatenate([*parts, encoder.finish()])
    at, symbols, state, said = 0, 0, engine.start(), list[tuple[int, int]]()
    (vector,), (state,) = engine.predict([29], [state])
    while at < len(frames):
        logits = engine.join(frames[at : at + 1], vector[None])[0, 0]
        token, goes_on = int(logits[:30].argmax()), (0, 1, 2, 4)[int(logits[30:34].argmax())]
        if token != 29:
            said.append((token, at))
            (vector,), (state,) = engine.predict([token], [state])
            symbols += 1
        if token == 29 or symbols == 2:
            goes_on = max(1, goes_on)
        at, symbols = at + goes_on, 0 if goes_on else symbols
    assert list(zip(found.ids, found.frames)) == said


def test_durations_apart_say_what_those_behind_the_classes_say(trained: dict[str, Path], speech: Path) -> None:
    found = [heard(open_built(each), speech, Settings())[1] for each in trained.values()]
    assert (found[0].ids, found[0].frames) == (found[1].ids, found[1].frames)


def test_a_beam_takes_the_durations_of_the_build(trained: dict[str, Path], speech: Path) -> None:
    _, found = heard(open_built(trained["apart"]), speech, Settings(method="time-synchronous", beam=2, max_symbols=2))
    assert found.ids
    with pytest.raises(ValueError, match="time-synchronous"):
        heard(open_built(trained["apart"]), speech, Settings(method="beam"))


RUNTIMES = {
    "onnx": ("onnxruntime", BuildOptions(target="onnx")),
    "coreai": ("coreai", BuildOptions(target="coreai", precision="fp32")),
    "torch": ("torch", BuildOptions(target="torch")),
    "states as inputs": ("numpy", BuildOptions(state="io")),
}


@pytest.mark.quick("onnx", "coreai", "states as inputs")
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_beam_finds_the_same_in_every_runtime(
    name: str, ahead: Path, speech: Path, root: Path, tmp_path: Path
) -> None:
    """Hypotheses share states there as well: what one call left is found again by another."""
    library, options = RUNTIMES[name]
    pytest.importorskip(library)
    folder = build(root / "tests/runtime/ahead.mct", tmp_path / "out", options).folder
    told = Settings(method="time-synchronous", beam=3, max_symbols=2, n_best=3)
    found, expected = (heard(open_built(each), speech, told)[1] for each in (folder, ahead))
    assert found.ids == expected.ids
    assert found.frames == expected.frames
    assert found.score == pytest.approx(expected.score, abs=0.05)


def test_hypotheses_that_are_predicted_together_are_what_each_is_alone(small: Path) -> None:
    engine = recogniser(open_built(small), "fp32").engine
    assert engine is not None
    _, (one,) = engine.predict([0], [engine.start()])
    both, states = engine.predict([3, 4], [one, one])
    for label, vector, state in zip([3, 4], both, states, strict=True):
        alone, (after,) = engine.predict([label], [one])
        assert (alone[0] == vector).all()
        (next_alone,), _ = engine.predict([5], [after])
        (next_together,), _ = engine.predict([5], [state])
        assert (next_alone == next_together).all()
