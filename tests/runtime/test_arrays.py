"""Any function of any package over arrays, in Python and on the command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mctc.runtime.arrays import ArraysError, read_npy, read_npz, run_arrays

Run = Callable[..., "subprocess.CompletedProcess[str]"]
MEL = np.random.default_rng(0).normal(size=(2, 1, 80, 1, 32)).astype(np.float32)


def package(folder: Path) -> Path:
    (found,) = folder.glob("*.mlpackage")
    return found


def test_states_carry_over_from_file_to_file(small: Path, mctc: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", MEL[0])
    np.savez(tmp_path / "b.npz", mel=MEL[1])
    first = mctc("run", package(small), "--input", "a.npy", "--output", "ya.npz", "--state-output", "s.npz")
    assert (first.returncode, first.stderr) == (0, "")
    assert "output: float16 [1, 32, 1, 8]" in first.stdout
    second = mctc("run", package(small), "--input", "b.npz", "--state", "s.npz", "--output", "yb.npy")
    assert second.returncode == 0
    fresh = run_arrays(package(small), [str(tmp_path / "b.npz")]).outputs
    carried = np.load(tmp_path / "yb.npy")
    assert np.abs(carried - fresh["output"]).max() > 0.01
    assert np.load(tmp_path / "ya.npz")["output"].shape == carried.shape


def test_another_function_and_precision_by_name(small: Path, mctc: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "token.npy", np.full((1, 1, 1, 1), 3.0, np.float32))
    arguments = ("--function", "predictor", "--input", "token=token.npy", "--precision", "fp32", "--json")
    done = mctc("run", package(small), *arguments)
    assert np.array(json.loads(done.stdout)["output"]).shape == (1, 32, 1, 1)


def test_an_arithmetic_is_named_and_precision_is_its_old_name(small: Path, mctc: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "token.npy", np.full((1, 1, 1, 1), 3.0, np.float32))
    arguments = ("run", package(small), "--function", "predictor", "--input", "token=token.npy", "--json")
    new, old, engine = (
        mctc(*arguments, *named).stdout
        for named in (("--arithmetic", "fp32"), ("--precision", "fp32"), ("--arithmetic", "engine:h16"))
    )
    assert new == old
    assert json.loads(engine).keys() == json.loads(new).keys()
    assert engine != new  # so small a program stays on the CPU, in fp16
    refused = mctc(*arguments, "--arithmetic", "engine:h13")
    assert refused.returncode == 2
    assert "contested" in refused.stderr


@pytest.mark.parametrize(
    ("inputs", "state", "words"),
    [
        (["missing.npy"], None, "missing.npy: no such file"),
        (["text.npy"], None, "text.npy holds no array"),
        (["a.npy"], "bad.npz", "no state `nothing`"),
        (["a.npy"], "text.npy", "no npz file"),
    ],
)
def test_files_that_do_not_fit_are_named(
    inputs: list[str], state: str | None, words: str, small: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", MEL[0])
    (tmp_path / "text.npy").write_text("hello")
    np.savez(tmp_path / "bad.npz", nothing=MEL)
    with pytest.raises(ArraysError, match=words):
        run_arrays(package(small), [str(tmp_path / i) for i in inputs], state=tmp_path / state if state else None)


def npy(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


DEEP = npy(b"(" * 5000)
NEGATIVE = npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04" + bytes(100), DEEP, NEGATIVE, b"\x93NUMPY\x09\x00"])
def test_a_damaged_file_of_arrays_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "damaged").write_bytes(data)
    for read in (read_npy, read_npz):
        with pytest.raises(ArraysError, match="damaged"):
            read(tmp_path / "damaged")


@pytest.mark.parametrize("place", [40, 0.5, -30])
def test_an_archive_of_arrays_with_a_damaged_place_is_named(tmp_path: Path, place: float) -> None:
    np.savez_compressed(tmp_path / "a.npz", mel=MEL)
    data = bytearray((tmp_path / "a.npz").read_bytes())
    start = int(place * len(data)) if 0 < place < 1 else int(place)
    data[start : start + 20] = b"\xff" * 20
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(ArraysError, match=r"a\.npz is no npz file"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("dtype", ["<U3", "c8", "M8[D]", "f4,i4"])
def test_arrays_of_other_things_than_numbers_are_refused(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3, dtype))
    np.savez(tmp_path / "a.npz", x=np.zeros(3, dtype))
    for read in (read_npy, read_npz):
        with pytest.raises(ArraysError, match="where real numbers belong"):
            read(tmp_path / ("a.npy" if read is read_npy else "a.npz"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(ArraysError, match="no regular file"):
        read_npy(tmp_path / "pipe.npy")


def test_an_input_that_could_be_any_of_several_must_be_named(small: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", MEL[0])
    with pytest.raises(ArraysError, match="which input") as caught:
        run_arrays(package(small), [str(tmp_path / "a.npy")], function="joiner")
    assert "--input enc=" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (["sound=a.npy"], "which input is it"),
        (["sound=all.npz"], "which input is it"),
        (["a.npy", "mel=a.npy"], "input `mel` is given twice"),
        (["all.npz", "mel=a.npy"], "input `mel` is given twice"),
    ],
)
def test_an_input_of_another_name_and_one_that_comes_twice_are_refused(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", MEL[0])
    np.savez("all.npz", mel=MEL[0])
    with pytest.raises(ArraysError, match=words):
        run_arrays(package(small), inputs)


def test_json_has_null_for_what_is_no_number(tmp_path: Path, mctc: Run) -> None:
    folder = tmp_path / "m.mlmodelc"
    folder.mkdir()
    body = 'tensor<fp32, [4]> y = sqrt(x = x)[name = tensor<string, []>("y")];'
    text = f"program(1.0)\n{{\n    func main<ios16>(tensor<fp32, [4]> x) {{\n        {body}\n    }} -> (y);\n}}\n"
    (folder / "model.mil").write_text(text)
    np.save(tmp_path / "x.npy", np.array([1.0, 4.0, -1.0, np.inf]))
    done = mctc("run", folder, "--input", "x.npy", "--json")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    assert json.loads(done.stdout, parse_constant=refuse) == {"y": [1.0, 2.0, None, None]}


@pytest.mark.parametrize("wrong", [[], ["--speech", "--input", "x.npy"]])
def test_run_wants_exactly_one_thing_to_run_over(wrong: list[str], mctc: Run, small: Path) -> None:
    done = mctc("run", small, *wrong)
    assert done.returncode == 2
    assert "--speech" in done.stderr


def test_run_over_speech_prints_nothing_of_an_untrained_build_as_a_result(mctc: Run, small: Path, speech: Path) -> None:
    done = mctc("run", small, "--audio", speech, "--stats")
    assert (done.returncode, done.stdout) == (0, "")
    assert "real-time factor" in done.stderr
    assert "algorithmic latency 320 ms" in done.stderr
    assert "is untrained: its weights were drawn from seed 0" in " ".join(done.stderr.split())
    assert max(len(line) for line in done.stderr.splitlines() if str(small) not in line) <= 80
    record = json.loads(mctc("run", small, "--audio", speech, "--json", "--stats").stdout)
    assert record["text"] is None
    assert (len(record["chunks"]), record["untrained_seed"], record["audio_s"]) == (7, 0, pytest.approx(2.07))


def test_run_over_speech_imports_no_torch_and_no_coremltools(
    imported_by: Callable[..., set[str]], small: Path, speech: Path
) -> None:
    assert not {"torch", "coremltools"} & imported_by("run", small, "--audio", speech)
