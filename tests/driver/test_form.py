"""A manifest that lacks something, or holds it as another kind, is damaged, and the place is named."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mctc.diagnostics.errors import MctcError
from mctc.driver import build
from mctc.driver.contents import blamed, changed
from mctc.driver.form import departures
from mctc.driver.manifest import read_manifest
from mctc.driver.options import BuildError
from mctc.runtime.built import open_built

from .conftest import SPEC


def places(content: Any) -> Iterator[tuple[Any, ...]]:
    """The way to every entry of every table and list."""
    for key in list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ():
        yield (key,)
        yield from ((key, *rest) for rest in places(content[key]))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a build, to be copied."""
    place = tmp_path_factory.mktemp("form")
    (place / "small.mct").write_text(SPEC)
    return build(place / "small.mct", place / "built").folder


@pytest.fixture
def content(built: Path) -> dict[str, Any]:
    """What its manifest holds."""
    return dict(read_manifest(built))


def test_a_manifest_as_it_is_written_has_the_form(content: dict[str, Any]) -> None:
    assert list(departures(content)) == []


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("functions", "encoder", "inputs"), None, "functions.encoder.inputs is no list"),
        (("functions", "encoder", "inputs", 0, "shape"), [1.5], r"inputs\[0\].shape\[0\] is 1.5"),
        (("stream",), [], "stream is no table"),
        (("stream", "streams"), 1, "stream.streams is 1"),
        (("parameters",), True, "parameters is True"),
        (("blank",), "0", "blank is '0'"),
        (("audio",), {}, "audio is {}"),
        (("passes", "common"), {}, "passes.common is no list"),
    ],
)
def test_the_place_of_what_is_wrong_is_named(
    content: dict[str, Any], tmp_path: Path, place: tuple[Any, ...], value: Any, said: str
) -> None:
    inner: Any = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BuildError, match=rf"manifest\.json is damaged: .*{said}"):
        read_manifest(tmp_path)


def test_whatever_entry_is_missing_or_another_a_build_opens_or_is_refused(
    content: dict[str, Any], tmp_path: Path
) -> None:
    refused = 0
    for number, place in enumerate(places(content)):
        for value in (..., (None, "x", -1, [], {})[number % 5]):
            damaged = copy.deepcopy(content)
            inner = damaged
            for key in place[:-1]:
                inner = inner[key]
            if value is ...:
                del inner[place[-1]]
            else:
                inner[place[-1]] = value
            (tmp_path / "manifest.json").write_text(json.dumps(damaged))
            try:
                open_built(tmp_path)
            except MctcError:
                refused += 1
    assert refused > 100


def test_what_fails_on_a_damaged_build_is_blamed_on_its_files(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(built, folder)
    with pytest.raises(ZeroDivisionError), blamed(folder):
        raise ZeroDivisionError  # nothing is damaged: it is mctc's own
    (folder / "program.mir").write_text("")
    (folder / "origins.json").unlink()
    assert changed(folder) == ["program.mir"]
    with pytest.raises(BuildError, match=r"damaged \(ZeroDivisionError: .*origins.json, program.mir$"), blamed(folder):
        raise ZeroDivisionError


def test_keys_that_a_manifest_was_written_with_before_are_read(content: dict[str, Any], tmp_path: Path) -> None:
    before = copy.deepcopy(content)
    before["beside"] = before.pop("extra_targets")
    port = next(iter(before["functions"].values()))["inputs"][0]
    port["rows_of"] = "tables/token.npy"
    (tmp_path / "manifest.json").write_text(json.dumps(before))
    now = read_manifest(tmp_path)
    assert now["extra_targets"] == content["extra_targets"]
    assert next(iter(now["functions"].values()))["inputs"][0]["embedding_table"] == "tables/token.npy"
    assert "beside" not in now
