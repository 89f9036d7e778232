"""docs/writing-an-architecture.md: its specs compile, its excerpts are from the files, its commands run and print that.

MCTC_UPDATE_DOCS=1 writes what the commands print anew.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mctc.cli.main import run

PAGE = "docs/writing-an-architecture.md"
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXCERPT = " excerpt of "
# A model that is built, executed and searched in seconds, and what is said at its size: the tokens that begin and end.
SMALL = "-D width=32 -D depth=1 -D heads=2 -D vocab=100 -D frames=600"
RENAMED = {"50258": "1", "50257": "2"}
SPEC, CHECKPOINT = "spec/whisper_tiny.mct", "openai/whisper-tiny"


@pytest.fixture
def page(root: Path) -> str:
    return (root / PAGE).read_text(encoding="utf-8")


@pytest.fixture
def project(root: Path, tmp_path: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the library's specs and those of the page, to run commands in."""
    (tmp_path / "pyproject.toml").touch()
    shutil.copytree(root / "spec", tmp_path / "spec")
    for language, about, text in FENCE.findall(page):
        if language == "mct" and EXCERPT not in about:
            (tmp_path / about.strip()).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Every command of a block, and what the block says that it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


def printed_by(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints; of a pipe into grep, the lines that it finds. Error messages come last."""
    mctc, _, pattern = command.partition(" | grep ")
    run(mctc.split()[1:])
    captured = capsys.readouterr()
    lines = (captured.out + captured.err).splitlines(keepends=True)
    return "".join(each for each in lines if not pattern or re.search(pattern, each))


def test_commands_print_what_the_page_says(
    root: Path, project: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def again(match: re.Match[str]) -> str:
        language, about, text = match.groups()
        if language != "console" or about:
            return match[0]
        parts = (f"$ {command}\n{printed_by(command, capsys)}" for command, _ in commands(text))
        return f"```console\n{''.join(parts)}```"

    fresh = FENCE.sub(again, page)
    if os.environ.get("MCTC_UPDATE_DOCS"):
        (root / PAGE).write_text(fresh, encoding="utf-8")
    else:
        assert fresh == page


def test_excerpts_are_from_the_files_that_they_name(root: Path, page: str) -> None:
    found = [(about.removeprefix(EXCERPT), text) for _, about, text in FENCE.findall(page) if EXCERPT in about]
    folders = (root / "spec", root / "mctc/importing/maps")
    assert len(found) >= 5
    for name, text in found:
        (file,) = [folder / name for folder in folders if (folder / name).is_file()]
        assert text in file.read_text(encoding="utf-8"), name


@pytest.mark.slow  # whisper with every runtime; tests/architectures/test_whisper.py holds the model to the library's
def test_the_model_is_built_proven_and_run_as_the_page_does(
    project: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a small size, with a checkpoint that the transformers library saves."""
    saved_checkpoint(project / CHECKPOINT)
    blocks = [text for _, about, text in FENCE.findall(page) if about == " small"]
    ran = [command for text in blocks for command, printed in commands(text) if not printed]
    assert [command.split()[1] for command in ran] == ["build", "verify", "lint", "import-weights", "build", "run"]
    for command in ran:
        words = [RENAMED.get(word, word) for word in command.split()[1:]]
        assert run([*words, *(SMALL.split() if SPEC in words else [])]) == 0, capsys.readouterr().err


def saved_checkpoint(folder: Path) -> None:
    """Whisper of the sizes of SMALL, as the transformers library writes it."""
    transformers = pytest.importorskip("transformers")
    widths = {"d_model": 32, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "num_mel_bins": 80, "vocab_size": 100}
    depths = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    lengths = {"max_source_positions": 600, "max_target_positions": 448}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = transformers.WhisperConfig(**widths, **depths, **lengths, **tokens)
    transformers.WhisperForConditionalGeneration(config).save_pretrained(folder)
