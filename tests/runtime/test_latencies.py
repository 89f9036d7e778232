"""One package for several latencies: functions at every chunk of the spec, one state, switched in mid-stream."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mctc.decode.settings import Settings
from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.driver import BuildOptions, build
from mctc.driver.options import BuildError
from mctc.proof.proof import Proof
from mctc.runtime.built import Built, open_built
from mctc.runtime.searched import Recogniser, recogniser
from mctc.runtime.step import Packages
from mctc.runtime.stream import SpeechStream

SPEC = """\
import "lib/mamba.mct"

model quick(width = 32, depth = 2, vocab = 12) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = vocab + 1

    component encoder(mel: f32[B, T, 80]) -> f32[B, T/2, width] {
        x = conv1d(mel, width, kernel = 3, stride = 2) as front
        repeat depth { x = x + mamba(layer_norm(x), state = 4) }
        return layer_norm(x) as norm
    }
    component predictor(token: i32[B, U] < V) -> f32[B, U, width] {
        return embedding(token, V, width)
    }
    component joiner(enc: f32[B, T/2, width], pred: f32[B, U, width]) -> f32[B, T/2, U, V] {
        return linear(tanh(enc + pred), V) as out
    }
    train { objective = rnnt(blank = 0) }
    stream { chunk = CHUNK }
}
"""
SEVERAL = "[40 ms, 80 ms, 160 ms]"


def made(folder: Path, written: str, **options: object) -> Built:
    folder.mkdir(exist_ok=True)
    (folder / "quick.mct").write_text(SPEC.replace("CHUNK", written))
    return open_built(build(folder / "quick.mct", folder / "quick", BuildOptions(**options)).folder)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return made(tmp_path_factory.mktemp("latencies"), SEVERAL)


def size_of(built: Built) -> int:
    (package,) = built.folder.glob("*.mlpackage")
    return sum(path.stat().st_size for path in package.rglob("weight.bin"))


def test_every_chunk_has_functions_and_all_have_one_state(built: Built) -> None:
    assert set(built.functions) == {"encoder", "predictor", "joiner"}
    assert set(built.others) == {"encoder_80ms", "joiner_80ms", "encoder_160ms", "joiner_160ms"}
    assert built.latencies == {
        8: {"encoder": "encoder_80ms", "joiner": "joiner_80ms"},
        16: {"encoder": "encoder_160ms", "joiner": "joiner_160ms"},
    }
    encoders = [built.function(name) for name in ("encoder", "encoder_80ms", "encoder_160ms")]
    assert len({encoder.states for encoder in encoders}) == 1
    assert [encoder.inputs[0].frames for encoder in encoders] == [4, 8, 16]
    assert [encoder.outputs[0].latency_ms for encoder in encoders] == [40, 80, 160]


def test_weights_are_stored_once(built: Built, tmp_path: Path) -> None:
    assert size_of(built) <= 1.1 * size_of(made(tmp_path / "one", "40 ms"))


@pytest.mark.slow
def test_each_function_equals_the_whole(built: Built) -> None:
    proof = Proof(built.folder, None, [], ["noise"])
    checks = list(proof.checks())
    assert all(check.ok is not False for check in checks), [check for check in checks if check.ok is False]
    proven = {check.component for check in checks if check.name == "package evaluator, fp32"}
    assert proven == set(built.every_function)


@pytest.mark.parametrize("state", ["packed", "io"])
def test_a_stream_is_switched_without_a_trace(tmp_path: Path, state: str) -> None:
    built = made(tmp_path / state, SEVERAL, state=state)
    packages = Packages(built, "fp32")
    mel = np.random.default_rng(3).standard_normal((1, 80, 1, 64)).astype(np.float32)
    plan = [
        "encoder",
        "encoder_160ms",
        "encoder_80ms",
        "encoder",
        "encoder",
        "encoder_160ms",
        "encoder_80ms",
        "encoder",
    ]
    steps = {name: packages.step(name) for name in set(plan)}
    parts, at, last = [], 0, None
    for name in plan:
        step = steps[name]
        if last is not None and last is not step:
            step.continues(last)
        frames = step.function.inputs[0].frames or 0
        parts.append(step({"mel": mel[..., at : at + frames]})[results_of(step)[0]])
        at, last = at + frames, step
    assert at == 64
    switched = np.concatenate(parts, axis=-1)
    alone = packages.step("encoder")
    straight = [alone({"mel": mel[..., place : place + 4]})[results_of(alone)[0]] for place in range(0, 64, 4)]
    np.testing.assert_allclose(switched, np.concatenate(straight, axis=-1), atol=2e-6)


def results_of(step: object) -> list[str]:
    return [port.spec for port in step.function.outputs]  # type: ignore[attr-defined]


def test_speech_goes_on_at_another_latency(built: Built) -> None:
    model: Recogniser = recogniser(built)
    samples = (np.random.default_rng(5).standard_normal(16_000) * 0.1).astype(np.float32)

    def heard(*chunks: Fraction) -> list[int]:
        stream = SpeechStream(model, Settings())
        for place, part in enumerate(np.array_split(samples, 4)):
            if place < len(chunks):
                stream.switch(chunks[place])
            list(stream.push(part))
        list(stream.flush())
        return list(stream.finish()[0].ids)

    assert heard() == heard(Fraction(4, 100), Fraction(16, 100), Fraction(8, 100), Fraction(16, 100))


def test_a_build_is_called_at_the_chunk_that_is_asked_for(built: Built) -> None:
    assert built.at(Fraction(4, 100)) is built
    quick = built.at(Fraction(16, 100))
    assert quick.chunk == 16
    assert {name: function.name for name, function in quick.functions.items()} == {
        "encoder": "encoder_160ms", "predictor": "predictor", "joiner": "joiner_160ms",
    }  # fmt: skip
    assert built.at(8).chunk == 8
    with pytest.raises(BuildError, match="has no functions for such a chunk; it has 40 ms, 80 ms, 160 ms"):
        built.at(Fraction(1, 2))


def test_a_chunk_on_the_command_line_is_the_only_one(tmp_path: Path) -> None:
    built = made(tmp_path / "x", SEVERAL, chunk=Fraction(8, 100))
    assert built.chunk == 8
    assert not built.others


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        ("[]", "one length of time or more"),
        ("[40 ms, 40 ms]", "written twice"),
        ("[40 ms, 3]", "a length of time"),
        ("[40 ms, 4 frames]", "two chunks of quick are 4 frames"),
        ("[40 ms, 55 ms]", "not a whole number"),
    ],
)
def test_lists_of_chunks_that_make_no_sense_are_refused(tmp_path: Path, chunk: str, message: str) -> None:
    with pytest.raises(DiagnosticError, match=message):
        made(tmp_path / "x", chunk)


def test_a_name_that_the_spec_has_is_not_taken(tmp_path: Path) -> None:
    text = SPEC.replace("CHUNK", SEVERAL).replace("    train { objective = rnnt(blank = 0) }\n", "")
    (tmp_path / "quick.mct").write_text(text.replace("component joiner(", "component encoder_80ms("))
    with pytest.raises(DiagnosticError, match="give this component another name"):
        build(tmp_path / "quick.mct", tmp_path / "quick", BuildOptions())
