"""`-` is standard input wherever a spec, a recording, names or codes are read."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from .conftest import SPEC, Command

HEARING = """model heard() {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 8

    component encoder(mel: f32[B, T, 80]) -> f32[B, T, V] {
        return log_softmax(linear(mel, V))
    }

    stream { chunk = 320 ms }
    train { objective = ctc(blank = 0) }
}
"""


@pytest.mark.parametrize(
    "line",
    ["check {0}", "show {0}", "show {0} --after dead-code", "compare {0} --format json", "build {0} --target torch"],
)
def test_a_spec_on_standard_input_is_the_spec(line: str, place: Path, command: Command) -> None:
    from_file = command(*line.format("tiny.mct").split())
    piped = command(*line.format("-").split(), stdin=SPEC.encode())
    assert (piped.code, piped.err) == (0, "")
    size = re.compile(r"[\d.]+ kB$", re.MULTILINE)  # with the name of the file, in every place
    assert size.sub("", piped.out.replace("<stdin>", "tiny.mct")) == size.sub("", from_file.out)


def test_what_is_wrong_with_it_is_shown_with_its_line(place: Path, command: Command) -> None:
    for line in ("check -", "build -", "show -", "compare -"):
        done = command(*line.split(), stdin=SPEC.replace("relu", "rellu").encode())
        assert done.code == 1
        assert "--> <stdin>:6:16" in done.err
        assert "return rellu(linear(mel, width))" in done.err
    assert json.loads(command("check", "--format", "json", "-", stdin=b"model").out)[0]["file"] == "<stdin>"


def test_bytes_that_are_no_text_are_told_as_for_a_file(place: Path, command: Command) -> None:
    assert "byte 0xff is not UTF-8" in command("check", "-", stdin=b"model \xff").err
    assert "byte 6 is not UTF-8" in command("fmt", "-", stdin=b"model \xff").err


def test_imports_are_looked_for_in_the_current_folder(place: Path, command: Command) -> None:
    (place / "halved.mct").write_text("block halved(x: f32[..., C]) { return x * 0.5 }\n")
    text = 'import "halved.mct"\n' + SPEC.replace("relu(", "halved(")
    assert command("check", "-", stdin=text.encode()).out == "<stdin>: no errors\n"


def test_a_file_called_dash_is_still_there(place: Path, command: Command) -> None:
    (place / "-").write_text(SPEC)
    assert command("check", "./-").out == "-: no errors\n"


def test_formatting_goes_from_input_to_output(place: Path, command: Command) -> None:
    done = command("fmt", "-", stdin=SPEC.replace("    ", " ").replace("\n", "\r\n").encode())
    assert (done.code, done.out) == (0, SPEC)
    assert command("fmt", "--check", "-", stdin=b"model  m { }").out == "<stdin>: not formatted\n"


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build that takes speech."""
    from mctc.driver import BuildOptions, build

    folder = tmp_path_factory.mktemp("hearing")
    (folder / "heard.mct").write_text(HEARING)
    return build(folder / "heard.mct", folder / "heard", BuildOptions()).folder


def test_a_recording_on_standard_input_is_heard(hearing: Path, place: Path, command: Command) -> None:
    import numpy as np
    import soundfile

    held = io.BytesIO()
    soundfile.write(held, np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32), 16_000, format="WAV")
    (place / "noise.wav").write_bytes(held.getvalue())
    results = [
        json.loads(command("run", hearing, "--json", *more, stdin=held.getvalue()).out)
        for more in (["noise.wav"], ["-"], ["--audio", "-"])
    ]
    assert [each["audio"] for each in results] == ["noise.wav", "<stdin>", "<stdin>"]
    assert results[0]["tokens"] == results[1]["tokens"] == results[2]["tokens"]
    assert "over <stdin>: 1.0" in command("run", hearing, "-", "--stats", stdin=held.getvalue()).err


def test_what_is_no_recording_is_told_by_that_name(hearing: Path, command: Command) -> None:
    for data, told in ((b"", "the file is empty"), (b"no sound", "not a sound file")):
        done = command("run", hearing, "-", stdin=data)
        assert done.code == 1
        assert done.err.startswith("error: <stdin>: ")
        assert told in done.err


def test_codes_and_names_are_read_too(built: Path, place: Path, command: Command) -> None:
    wrong = command("check", "none.mct").err
    assert command("explain", "-", stdin=wrong.encode()).out == command("explain", "MCT0001").out
    assert command("explain", "-", stdin=b"nothing").code == 2
    named = command("why", "-", "--build", built, stdin=b"encoder_linear_conv2d\n")
    assert named.out == command("why", "encoder_linear_conv2d", "--build", built).out != ""
