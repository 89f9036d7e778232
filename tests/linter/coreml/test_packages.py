"""Which packages the paths of a command line mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.packages import packages_of

FILES = (
    "encoder.mlpackage/Manifest.json",
    "encoder.mlpackage/Data/com.apple.CoreML/model.mlmodel",
    "encoder.mlpackage/Data/com.apple.CoreML/weights/weight.bin",
    "sub/whole.mlmodelc/part.mlmodelc/model.mil",
    "sub/old.mlmodel",
    "sub/.cache/a.mlpackage/Manifest.json",
    "sub/venv/b.mlpackage/Manifest.json",
    "plain/Manifest.json",
    "empty/notes.txt",
    "train.py",
)

MANIFEST = '{"rootModelIdentifier": "m", "itemInfoEntries": {"m": {"path": "com.apple.CoreML/model.mlmodel"}}}'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / FILES[0]).write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*paths: str, without: str = "nothing") -> list[str]:
    return [each.as_posix() for each in packages_of(map(Path, paths), lambda path: without in path.name)]


def test_a_package_stands_for_itself() -> None:
    given = ["encoder.mlpackage", "sub/whole.mlmodelc", "sub/old.mlmodel"]
    assert names(*given) == given


def test_a_file_inside_stands_for_its_package_which_comes_once() -> None:
    assert names(*FILES[:3]) == ["encoder.mlpackage"]
    assert names("encoder.mlpackage/", "./encoder.mlpackage", FILES[1]) == ["encoder.mlpackage"]
    assert names("encoder.mlpackage/Data/deleted.bin") == ["encoder.mlpackage"]


@pytest.mark.parametrize("manifest", [None, "{", "[]", MANIFEST.replace('"m": {', '"n": {')])
def test_a_specification_that_no_manifest_leads_to_is_meant_beside_its_package(
    folder: Path, manifest: str | None
) -> None:
    if manifest is None:
        (folder / FILES[0]).unlink()
    else:
        (folder / FILES[0]).write_text(manifest)
    assert names(FILES[1]) == ["encoder.mlpackage", FILES[1]]
    assert names("encoder.mlpackage") == ["encoder.mlpackage"]


def test_of_packages_in_packages_the_outermost_is_meant() -> None:
    assert names("sub/whole.mlmodelc/part.mlmodelc/model.mil") == ["sub/whole.mlmodelc"]


def test_a_folder_stands_for_what_is_in_it_hidden_folders_and_environments_apart(folder: Path) -> None:
    assert names(".") == ["encoder.mlpackage", "sub/old.mlmodel", "sub/whole.mlmodelc"]
    assert packages_of([folder]) == [folder / name for name in names(".")]
    assert names("sub/.cache") == ["sub/.cache/a.mlpackage"]


def test_what_macos_keeps_beside_files_is_no_model(folder: Path) -> None:
    (folder / "sub/._old.mlmodel").touch()
    (folder / "__MACOSX/a.mlpackage").mkdir(parents=True)
    assert names("sub", ".") == ["sub/old.mlmodel", "sub/whole.mlmodelc", "encoder.mlpackage"]


def test_a_compiled_model_that_is_called_mlmodel_is_found(folder: Path) -> None:
    (folder / "sub/compiled.mlmodel").mkdir()
    (folder / "sub/compiled.mlmodel/model.mil").touch()
    assert names("sub") == ["sub/compiled.mlmodel", "sub/old.mlmodel", "sub/whole.mlmodelc"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.mlpackage.zip", b"PK\x03\x04" + bytes(40), "a ZIP archive"),
        ("a.mlpackage", b"PK\x03\x04" + bytes(40), "a ZIP archive"),
        ("a.mlmodelc", b"<!doctype html><html></html>", "an HTML page"),
        ("a.mlpackage", b"", "an empty file"),
    ],
)
def test_a_file_in_the_place_of_a_package_is_told(folder: Path, name: str, content: bytes, said: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(UsageError, match=f"{said}, neither a Core ML package") as raised:
        packages_of([Path(name)])
    assert raised.value.hint


def test_a_link_to_a_package_is_one_and_a_link_to_a_folder_is_not_followed(folder: Path) -> None:
    (folder / "links").mkdir()
    (folder / "links" / "up").symlink_to(folder)
    (folder / "links" / "same.mlpackage").symlink_to(folder / "encoder.mlpackage")
    assert names("links") == ["links/same.mlpackage"]
    assert names("encoder.mlpackage", "links") == ["encoder.mlpackage"]


def test_a_folder_of_any_name_that_is_a_package_itself_is_one() -> None:
    assert names("plain") == ["plain"]


def test_from_within_a_package_the_package_is_meant(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "encoder.mlpackage" / "Data")
    assert packages_of([Path()]) == [folder / "encoder.mlpackage"]
    assert packages_of([Path("../Manifest.json")]) == [folder / "encoder.mlpackage"]
    assert names("../../sub/old.mlmodel") == ["../../sub/old.mlmodel"]
    assert names("../../sub") == ["../../sub/old.mlmodel", "../../sub/whole.mlmodelc"]


def test_what_is_excluded_is_left_out_unless_the_package_itself_is_named() -> None:
    assert names(".", without="encoder") == ["sub/old.mlmodel", "sub/whole.mlmodelc"]
    assert names(FILES[0], without="encoder") == []
    assert names("encoder.mlpackage", without="encoder") == ["encoder.mlpackage"]


@pytest.mark.parametrize(
    ("path", "said", "hint"),
    [
        ("none.mlpackage", "no such", "current folder"),
        ("none/Manifest.json", "no such", ""),
        ("empty", "no package in this folder", ".mlpackage"),
        ("train.py", "neither", "--mps"),
        ("empty/notes.txt", "neither", ".mlpackage"),
    ],
)
def test_what_stands_for_no_package_is_refused(path: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        packages_of([Path(path)])
    assert path in str(caught.value)
    assert hint in (caught.value.hint or "")
