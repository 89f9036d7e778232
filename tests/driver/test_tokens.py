"""Tokens of a model: named by the spec or by the build, over its vocabulary, and in everything that is built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.driver import BuildOptions, build
from mctc.driver.manifest import read_manifest, sha256
from mctc.driver.options import BuildError
from mctc.ir.text import parse_program, print_program
from mctc.language import elaborate_file
from mctc.language.format import format_source
from mctc.package import read_package
from mctc.runtime.built import open_built
from mctc.tokens import TokensError

SPEC = """\
model says(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 29
    component encoder(mel: f32[B, T, 80]) -> logits: f32[B, T, V] { return linear(mel, V) as head }
    train { objective = ctc(blank = 0) }
    stream { chunk = 80 ms }
    tokens { TOKENS }
}
"""
LETTERS = 'letters = " \'abcdefghijklmnopqrstuvwxyz"'


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "says.mct"
    path.write_text(SPEC.replace("TOKENS", LETTERS))
    return path


def refused(spec: Path, tokens: str, **changes: str) -> tuple[str, str, str | None]:
    """Code, message and place of what a build says of a `tokens` section."""
    text = SPEC.replace("TOKENS", tokens)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    spec.write_text(text)
    with pytest.raises(DiagnosticError) as caught:
        build(spec, spec.parent / "out")
    (found,) = caught.value.diagnostics
    return found.code, found.message, found.span.text if found.span else None


def told(content: Any) -> Iterator[str]:
    """Every text of a JSON document."""
    if isinstance(content, dict):
        for value in content.values():
            yield from told(value)
    elif isinstance(content, str):
        yield content


@pytest.mark.parametrize("target", ["ane", "onnx", "coreai"])
def test_they_travel_with_everything_that_is_built(target: str, spec: Path, tmp_path: Path) -> None:
    pytest.importorskip({"ane": "numpy", "onnx": "onnx", "coreai": "coreai"}[target])
    folder = build(spec, tmp_path / "out", BuildOptions(target=target)).folder
    table = (folder / "tokens.json").read_text().strip()
    assert read_manifest(folder)["tokens"] == {
        "file": "tokens.json", "sha256": sha256(folder / "tokens.json"), "kind": "letters", "size": 29
    }  # fmt: skip
    if target == "ane":
        assert read_package(folder / "says.mlpackage").metadata.user["mctc.tokens"] == table
        assert (folder / "training/tokens.json").read_text().strip() == table
    elif target == "onnx":
        import onnx

        (path,) = folder.glob("*encoder.onnx")
        assert {each.key: each.value for each in onnx.load(path).metadata_props}["mctc.tokens"] == table
    else:
        assert table in told(json.loads((folder / "says.aimodel/metadata.json").read_text()))
    tokens = open_built(folder).tokens
    assert tokens is not None
    assert tokens.text([10, 7, 14, 14, 0, 17]) == "hello"


def test_a_build_without_them_says_so(spec: Path, tmp_path: Path) -> None:
    spec.write_text(SPEC.replace("    tokens { TOKENS }\n", ""))
    folder = build(spec, tmp_path / "out").folder
    assert read_manifest(folder)["tokens"] is None
    assert open_built(folder).tokens is None
    assert not (folder / "tokens.json").exists()


def test_a_file_of_the_build_takes_the_place_of_the_section(spec: Path, tmp_path: Path) -> None:
    (tmp_path / "upper.txt").write_text("<blk>\n▁\n'\n" + "\n".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), encoding="utf-8")
    folder = build(spec, tmp_path / "out", BuildOptions(tokens=tmp_path / "upper.txt")).folder
    tokens = open_built(folder).tokens
    assert tokens is not None
    assert tokens.text([10, 7, 0, 1, 2]) == "HE '"


def test_a_file_of_the_spec_lies_beside_it(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pieces").mkdir()
    (tmp_path / "pieces/list.txt").write_text("\n".join("abcdefghijklmnopqrstuvwxyz.,"))
    spec.write_text(SPEC.replace("TOKENS", 'file = "pieces/list.txt"'))
    folder = build(spec, tmp_path / "out").folder
    tokens = open_built(folder).tokens
    assert tokens is not None
    assert (tokens.blank, tokens.text([1, 28])) == (0, "a,")


def test_a_damaged_table_is_an_error_of_the_build(spec: Path, tmp_path: Path) -> None:
    folder = build(spec, tmp_path / "out").folder
    (folder / "tokens.json").write_text("{")
    with pytest.raises(BuildError, match=r"tokens\.json is damaged"):
        open_built(folder).tokens  # noqa: B018


def test_a_section_at_fault_is_located(spec: Path) -> None:
    assert refused(spec, 'letters = "abca"') == ("MCT0155", "'a' stands twice", "letters")
    code, told, place = refused(spec, 'file = "absent.txt"')
    assert (code, place) == ("MCT0155", "file")
    assert told.endswith("absent.txt: it can't be read: no such file or directory")
    assert refused(spec, 'file = "../../list.txt"')[1].startswith('"../../list.txt" lies outside of the project')
    assert refused(spec, 'letters = "ab"; file = "list.txt"')[0] == "MCT0155"
    wanted = "this must be a string, or a list of strings, not the number 3"
    assert refused(spec, "letters = 3") == ("MCT0142", wanted, "3")
    assert refused(spec, 'file = ["a"]')[0] == "MCT0142"
    assert refused(spec, 'kind = "letters"')[0] == "MCT0141"


def test_a_line_of_a_file_at_fault_is_told(spec: Path) -> None:
    (spec.parent / "list.txt").write_text("a\nb\na\n")
    assert refused(spec, 'file = "list.txt"')[1].endswith("list.txt:3: 'a' stands twice, the first time in line 1")


def test_a_section_that_does_not_fit_the_vocabulary_is_located(spec: Path) -> None:
    told = "there are 2 tokens, and the vocabulary has 29 classes, one of them the blank"
    assert refused(spec, 'letters = "ab"') == ("MCT0156", told, "letters")
    assert refused(spec, 'letters = "a"')[1] == told.replace("are 2 tokens", "is 1 token")
    full = 'letters = "abcdefghijklmnopqrstuvwxyz .,"'
    assert refused(spec, full)[1] == "the blank is class 0, and the tokens have 'a' there"
    bare = {"dim V: vocabulary": "V", "train { objective = ctc(blank = 0) }": ""}
    code, told, _ = refused(spec, LETTERS, **bare)
    assert (code, told) == ("MCT0156", "tokens are of one vocabulary, and no result of says has one")


def test_tokens_of_several_vocabularies_are_refused(spec: Path) -> None:
    two = {"-> logits: f32[B, T, V] { return linear(mel, V) as head }": "-> (logits: f32[B, T, V], who: f32[B, T, W]) {"
           " return linear(mel, V) as head, linear(mel, W) as other }", "dim V": "dim W: vocabulary = 5\n    dim V",
           "train { objective = ctc(blank = 0) }": ""}  # fmt: skip
    code, told, _ = refused(spec, LETTERS, **two)
    assert (code, told) == ("MCT0156", "tokens are of one vocabulary, and says has those of 5 and 29 classes")


def test_a_file_of_the_build_at_fault_is_named(spec: Path, tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("a\nb\n")
    with pytest.raises(TokensError, match=r"two\.txt: there are 2 tokens"):
        build(spec, tmp_path / "out", BuildOptions(tokens=tmp_path / "two.txt"))


def test_the_section_is_part_of_the_program_and_is_formatted(spec: Path) -> None:
    spec.write_text(SPEC.replace("TOKENS", 'letters=["a","<b>", "none"]'))
    program = elaborate_file(spec)
    assert program.tokens.settings == {"letters": ("a", "<b>", "none")}
    assert parse_program(print_program(program)).tokens == program.tokens
    assert 'tokens { letters = ["a", "<b>", "none"] }' in format_source(spec.read_text())
