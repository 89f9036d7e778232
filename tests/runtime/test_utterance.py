"""A recording through a build with an encoder and an attention decoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from mctc.audio import bundled_recording
from mctc.cli.main import run
from mctc.driver import BuildOptions, build
from mctc.driver.manifest import read_manifest, write_manifest
from mctc.driver.options import BuildError
from mctc.runtime.built import open_built
from mctc.runtime.utterance import read_tables

SPECS = Path(__file__).parents[2] / "spec"
SIZES = {"width": 8, "depth": 1, "heads": 1, "vocab": 40, "frames": 600, "labels": 8}
WITH_ROWS = {
    "width": 8,
    "heads": 1,
    "depth": 1,
    "decoder_depth": 1,
    "inner": 8,
    "kernel": 3,
    "vocab": 40,
    "seconds": 12,
}
ROWS = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder that takes the id of its token, and of the token's place."""
    folder = tmp_path_factory.mktemp("speech") / "out"
    return build(SPECS / "whisper_tiny.mct", folder, BuildOptions(defines=SIZES)).folder


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder that takes a row of numbers for the place of its token."""
    folder = tmp_path_factory.mktemp("placed") / "out"
    return build(SPECS / "conformer_s2s.mct", folder, BuildOptions(defines=WITH_ROWS)).folder


@pytest.fixture
def unsaid(built: Path, tmp_path: Path) -> Path:
    """A build of an mctc that did not write down what a text begins and ends with."""
    folder = tmp_path / "unsaid"
    shutil.copytree(built, folder)
    content = read_manifest(folder)
    write_manifest(folder, {key: value for key, value in content.items() if key not in ("prompt", "digest")})
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> str:
    np.save(tmp_path / "rows.npy", ROWS)
    return f"position={tmp_path / 'rows.npy'}"


def test_the_front_end_is_the_one_that_the_spec_says(built: Path) -> None:
    mel = open_built(built).front_end
    assert mel is not None
    assert (mel.fft, mel.centred, mel.decades) == (400, True, 8)


def test_a_recording_becomes_tokens(built: Path, capsys: Any) -> None:
    asked = ["--speech", "--start", "1", "--end", "-1", "--max-tokens", "4", "--json"]
    assert run(["run", str(built), *asked]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["tokens"]) == 4
    assert all(0 <= token < 40 for token in told["tokens"])
    assert 10 < told["audio_s"] < 12


def test_the_spec_says_what_a_text_begins_and_ends_with(built: Path, capsys: Any) -> None:
    found = []
    for asked in ([], ["--start", "1", "--end", "2"]):
        assert run(["run", str(built), "--speech", "--json", *asked]) == 0
        found.append(json.loads(capsys.readouterr().out)["tokens"])
    assert found[0] == found[1]


def test_times_take_tokens_of_times(built: Path, capsys: Any) -> None:
    assert run(["run", str(built), "--speech", "--timestamps"]) == 1
    assert "no tokens of times" in capsys.readouterr().err


def test_places_of_tokens_come_from_a_table(placed: Path, rows: str, capsys: Any) -> None:
    asked = ["--speech", "--start", "1", "--end", "-1", "--max-tokens", "2", "--table", rows, "--json"]
    assert run(["run", str(placed), *asked]) == 0
    assert len(json.loads(capsys.readouterr().out)["tokens"]) == 2


@pytest.mark.parametrize(
    ("which", "asked", "words"),
    [
        ("unsaid", [], "--start and --end say"),
        ("placed", ["--start", "1", "--end", "2"], "the decoder takes position as a row of 8 numbers"),
        ("placed", ["--start", "1", "--end", "2", "--table", "position=rows.txt"], "names no table"),
        ("built", ["--start", "1", "--end", "2", "--table", "token={rows}"], "the decoder takes no rows for token"),
    ],
)
def test_what_the_search_lacks_or_has_too_much_is_named(
    which: str, asked: list[str], words: str, rows: str, request: pytest.FixtureRequest, capsys: Any
) -> None:
    told = [each.format(rows=rows.partition("=")[2]) for each in asked]
    assert run(["run", str(request.getfixturevalue(which)), "--speech", *told]) != 0
    assert words in capsys.readouterr().err


def test_a_recording_that_is_too_long_is_refused(tmp_path: Path, capsys: Any) -> None:
    folder = build(SPECS / "whisper_tiny.mct", tmp_path / "short", BuildOptions(defines={**SIZES, "frames": 32})).folder
    asked = ["--audio", str(bundled_recording()), "--start", "1", "--end", "2"]
    assert run(["run", str(folder), *asked]) == 1
    assert "10.7 s, an utterance 0.64 s" in capsys.readouterr().err


def test_tables_come_from_arrays_and_checkpoints(rows: str, tmp_path: Path) -> None:
    save_file({"a.b": ROWS}, tmp_path / "w.safetensors")
    tables = read_tables([rows, f"token={tmp_path / 'w.safetensors'}:a.b"])
    assert list(tables) == ["position", "token"]
    for table in tables.values():
        np.testing.assert_array_equal(table, ROWS)
    with pytest.raises(BuildError, match="no tensor c"):
        read_tables([f"token={tmp_path / 'w.safetensors'}:c"])
