"""What lies in the place of a file is told apart, with a way out; the links of the Hugging Face cache are followed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mctc.package import AbsentFile, Constant, Package, PackageError, read_package

MODEL = Path("Data/com.apple.CoreML/model.mlmodel")
WEIGHTS = Path("Data/com.apple.CoreML/weights/weight.bin")
POINTER = f"version https://git-lfs.example/spec/v1\noid sha256:{'5a' * 32}\nsize 812344\n"
HASH = "0f" * 32

STAND_INS: list[tuple[str, str, str, str]] = [
    ("a pointer of Git LFS", POINTER, "a Git LFS pointer in place of 812344 bytes", "git lfs pull"),
    ("one with an extension", POINTER.replace("oid", "ext-0-foo sha256:1\noid", 1), "Git LFS pointer", "git lfs pull"),
    ("one with the ends of lines of Windows", POINTER.replace("\n", "\r\n"), "Git LFS pointer", "git lfs pull"),
    ("a pointer of git-annex", "/annex/objects/SHA256E-s7--00.bin\n", "a git-annex pointer", "git annex get"),
    ("nothing", "", "an empty file", "download it again"),
]


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy.mlpackage"))


@pytest.mark.parametrize("place", [MODEL, WEIGHTS, Path("Manifest.json")], ids=["model", "weights", "manifest"])
@pytest.mark.parametrize(("text", "what", "hint"), [row[1:] for row in STAND_INS], ids=[row[0] for row in STAND_INS])
def test_what_stands_in_the_place_of_a_file_is_named(copy: Path, place: Path, text: str, what: str, hint: str) -> None:
    (copy / place).write_bytes(text.encode())
    with pytest.raises(AbsentFile, match=what) as raised:
        read_package(copy)
    assert str(place) in raised.value.message
    assert hint in (raised.value.hint or "")


OTHER_CONTENT = [
    ("an HTML page", b"\n<!DOCTYPE html><html>not found</html>"),
    ("a ZIP archive", b"PK\x03\x04\x14\x00" + bytes(60)),
    ("a gzip archive", b"\x1f\x8b\x08\x00" + bytes(60)),
    ("JSON", b'{"error": "not found"}'),
    ("a text", b"Entry not found"),
]


def test_a_package_that_has_lost_its_manifest_is_told_from_a_folder_of_other_things(copy: Path, tmp_path: Path) -> None:
    (copy / "Manifest.json").unlink()
    with pytest.raises(PackageError, match=r"there is no Manifest\.json in it") as raised:
        read_package(copy)
    assert "name the .mlmodel file inside it" in (raised.value.hint or "")
    with pytest.raises(PackageError, match=r"this isn't a \.mlpackage"):
        read_package(tmp_path)


@pytest.mark.parametrize(("what", "content"), OTHER_CONTENT, ids=[row[0] for row in OTHER_CONTENT])
def test_a_file_in_place_of_a_package_is_named(tmp_path: Path, what: str, content: bytes) -> None:
    path = tmp_path / "model.mlpackage"
    path.write_bytes(content)
    with pytest.raises(PackageError, match=f"{what}, not the folder that a .mlpackage is") as raised:
        read_package(path)
    assert raised.value.hint


@pytest.mark.parametrize(("what", "content"), OTHER_CONTENT, ids=[row[0] for row in OTHER_CONTENT])
def test_content_of_another_kind_is_named(copy: Path, what: str, content: bytes) -> None:
    (copy / MODEL).write_bytes(content)
    with pytest.raises(PackageError, match=rf"not a Core ML specification \({what}\)") as raised:
        read_package(copy)
    assert raised.value.hint


@pytest.mark.parametrize(("what", "content"), OTHER_CONTENT, ids=[row[0] for row in OTHER_CONTENT])
def test_content_of_another_kind_in_place_of_weights_is_named(copy: Path, what: str, content: bytes) -> None:
    (copy / WEIGHTS).write_bytes(content)
    with pytest.raises(AbsentFile, match=what) as raised:
        read_package(copy)
    assert str(WEIGHTS) in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize("manifest", ["{", "[]", "{}", '{"itemInfoEntries": {}, "rootModelIdentifier": "a"}'])
def test_a_damaged_manifest_names_the_way_out(copy: Path, manifest: str) -> None:
    (copy / "Manifest.json").write_text(manifest)
    with pytest.raises(PackageError, match=r"Manifest\.json") as raised:
        read_package(copy)
    assert "name the .mlmodel file" in (raised.value.hint or "")


def test_a_path_of_the_manifest_that_leads_outside_is_no_link(copy: Path) -> None:
    manifest = copy / "Manifest.json"
    manifest.write_text(manifest.read_text().replace("com.apple.CoreML/model.mlmodel", "../../elsewhere"))
    with pytest.raises(PackageError, match="leads outside") as raised:
        read_package(copy)
    assert "cp -RL" not in (raised.value.hint or "")


def cached(package: Path, root: Path) -> Path:
    """The package as the Hugging Face cache keeps it: every file a link to a blob."""
    repository = root / "models--someone--a-model"
    snapshot = repository / "snapshots" / "9c1d" / "m.mlpackage"
    (repository / "blobs").mkdir(parents=True)
    for place, file in enumerate(sorted(each for each in package.rglob("*") if each.is_file())):
        blob = repository / "blobs" / f"{place:02x}{HASH[2:]}"
        shutil.copy(file, blob)
        link = snapshot / file.relative_to(package)
        link.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * (len(link.relative_to(repository).parts) - 1)
        link.symlink_to(f"{up}blobs/{blob.name}")
    return snapshot


def weight_of(package: Package) -> Constant:
    constants = (op.attributes["val"] for op in package.functions["main"].operations if op.type == "const")
    return next(each for each in constants if each.stored_bytes)


def test_links_of_the_cache_are_followed_to_its_own_blobs(made: Path, tmp_path: Path, weight: np.ndarray) -> None:
    package = read_package(cached(made, tmp_path))
    np.testing.assert_array_equal(weight_of(package).value(), weight)


def leave_the_cache(link: Path) -> None:
    outside = link.parents[6] / HASH
    shutil.copy(link, outside)
    link.unlink()
    link.symlink_to(outside)


def name_no_hash(link: Path) -> None:
    blob = Path(shutil.copy(link, link.resolve().parent / "secrets.txt"))
    link.unlink()
    link.symlink_to(blob)


def another_repository(link: Path) -> None:
    other = link.parents[6] / "models--other--one" / "blobs"
    other.mkdir(parents=True)
    shutil.copy(link, other / HASH)
    link.unlink()
    link.symlink_to(other / HASH)


@pytest.mark.parametrize("lead", [leave_the_cache, name_no_hash, another_repository])
def test_other_links_out_of_a_package_are_named_with_the_way_out(
    made: Path, tmp_path: Path, lead: Callable[[Path], None]
) -> None:
    snapshot = cached(made, tmp_path)
    lead(snapshot / WEIGHTS)
    with pytest.raises(AbsentFile, match="leads outside the package, to /") as raised:
        read_package(snapshot)
    assert "cp -RL" in (raised.value.hint or "")


def test_a_blob_that_was_not_downloaded_is_told(made: Path, tmp_path: Path) -> None:
    snapshot = cached(made, tmp_path)
    (snapshot / WEIGHTS).resolve().unlink()
    with pytest.raises(AbsentFile, match="a link to a blob that isn't in the cache") as raised:
        read_package(snapshot)
    assert "download it again" in (raised.value.hint or "")


@pytest.mark.parametrize("text", [None, *(row[1] for row in STAND_INS)])
def test_a_program_is_read_without_its_weights_where_that_is_wanted(
    copy: Path, text: str | None, weight: np.ndarray
) -> None:
    whole = read_package(copy)
    (copy / WEIGHTS).unlink()
    if text is not None:
        (copy / WEIGHTS).write_bytes(text.encode())
    package = read_package(copy, absent_weights=True)
    assert [error.path.name for error in package.absent] == ["weight.bin"]
    constant = weight_of(package)
    assert constant.type == weight_of(whole).type
    assert constant.stored_bytes == weight.nbytes
    with pytest.raises(AbsentFile, match=r"weight\.bin"):
        constant.value()
    assert whole.absent == ()


def test_weights_of_another_file_are_never_taken_for_absent(copy: Path) -> None:
    (copy / WEIGHTS).write_bytes(b"\1" * 400)
    with pytest.raises(PackageError, match="storage version"):
        read_package(copy, absent_weights=True)
