"""Settings: where they are found, what they may say, and the command line over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.linter.config import FORMATS, KEYS, Settings, read_settings
from mctc.linter.selection import Layer

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """`written(lines)`: a pyproject.toml with that table in the folder, which is the current one."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, folder: str = ".", head: str = "[tool.mctc.lint]\n") -> Path:
        file = tmp_path / folder / "pyproject.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(head + text, encoding="utf-8")
        return file

    return write


def test_every_key_is_read(written: Written) -> None:
    written("""
select = ["ANE-CV", "state"]
ignore = ["ANE-CV-001"]
severity = { "ANE-ST-001" = "Error", "ANE-CV" = "off" }
device = "m4"
os = "macos15"
fail-on = "warning"
baseline = "ci/lint.json"
format = "github"
exclude = ["third_party"]

[tool.mctc.lint.per-package]
"encoder*.mlpackage" = ["ANE-ST"]
""")
    layer = Layer(
        ("ANE-CV", "state"), ("ANE-CV-001",), {"ANE-ST-001": "error", "ANE-CV": "off"}, source="pyproject.toml"
    )
    assert read_settings() == Settings(
        (layer,), "m4", "macos15", "warning", Path("ci/lint.json"), "github", ("third_party",),
        (("encoder*.mlpackage", ("ANE-ST",)),), Path("pyproject.toml"),
    )  # fmt: skip


def test_the_nearest_file_with_settings_counts(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = written('device = "m1"\nbaseline = "known.json"\n')
    written('name = "mctc_user"\n', "a/b", head="[project]\n")
    written("= broken, and about something else\n", "a/b/c", head="")
    inner = tmp_path / "a" / "b" / "c"
    monkeypatch.chdir(inner)
    found = read_settings()
    assert (found.device, found.file) == ("m1", outer)
    assert found.baseline == tmp_path / "known.json"
    assert read_settings(isolated=True) == Settings()
    written('device = "m2"\n', "a/b")
    assert read_settings().device == "m2"
    assert read_settings(start=tmp_path).device == "m1"


def test_a_file_can_be_named(written: Written, tmp_path: Path) -> None:
    written('device = "m1"\n')
    written('device = "m2"\nbaseline = "known.json"\n', "ci")
    found = read_settings(Path("ci/pyproject.toml"))
    assert (found.device, found.baseline) == ("m2", Path("ci/known.json"))


def test_none_at_all_is_nothing_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings(start=Path(tmp_path.anchor)) == Settings()


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ('slect = ["ANE"]', "no key `slect`", "`select`"),
        ("zzz = 1", "no key `zzz`", "`per-package`"),
        ('select = "ANE"', "select is a text, not a list", "such as"),
        ('ignore = ["ANE", 3]', "ignore: entry 2 is a number", ""),
        ('severity = { "ANE-CV" = "eror" }', "severity.ANE-CV: there is no severity `eror`", "`error`"),
        ('severity = ["ANE"]', "severity is a list, not a table", ""),
        ("severity = { ANE = 1979-05-27 }", "severity.ANE is a date", ""),
        ('device = "m44"', "device: there is no device `m44`", "`M4`"),
        ('os = "beos5"', "os: there is no system `beos5`", "ios18"),
        ('fail-on = "warnings"', "fail-on: there is no `warnings`", "`warning`"),
        ('format = "hmtl"', "format: there is no `hmtl`", "`html`"),
        ("baseline = true", "baseline is true or false", ""),
        ('device = " "', "device is an empty text", ""),
        ('per-package = { "a" = "ANE" }', "per-package.'a' is a text, not a list", ""),
        ("select = [", "not TOML", "--isolated"),
        ("select = " + "[" * 3000, "not TOML", ""),
    ],
)
def test_what_is_not_understood_is_refused_with_file_and_key(written: Written, text: str, said: str, hint: str) -> None:
    written(text)
    with pytest.raises(UsageError, match=r"^pyproject\.toml: ") as caught:
        read_settings()
    assert said in str(caught.value).replace(str(Path.cwd()), "")
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("head", "said"),
    [("[tool]\nmctc = 3\n", "tool.mctc is a number"), ("[tool.mctc]\nlint = []\n", "tool.mctc.lint is a list")],
)
def test_a_table_that_is_none_is_refused(written: Written, head: str, said: str) -> None:
    written("", head=head)
    with pytest.raises(UsageError, match=said):
        read_settings()


def test_a_named_file_must_be_there_and_have_the_table(written: Written, tmp_path: Path) -> None:
    written("", head="[tool.mctc]\n")
    with pytest.raises(UsageError, match="no table"):
        read_settings(Path("pyproject.toml"))
    with pytest.raises(UsageError, match="can't be read"):
        read_settings(Path("none.toml"))
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(UsageError, match="UTF-8"):
        read_settings(Path("latin.toml"))
    with pytest.raises(UsageError, match="--isolated"):
        read_settings(Path("pyproject.toml"), isolated=True)


def test_the_command_line_wins() -> None:
    file = Settings((Layer(ignore=("ANE-CV",), source="f"),), "m1", "ios18", "error", Path("b"), "text", ("x",))
    line = Settings((Layer(select=("ANE-ST",)),), device="m4", format="json")
    assert file.merged(line) == replace(file, layers=(*file.layers, *line.layers), device="m4", format="json")
    assert file.merged(Settings()) == file


def test_a_file_for_both_linters_gives_each_its_own_and_the_command_line_is_taken_at_its_word() -> None:
    both = Settings((Layer(("MPS05", "ANE-ST"), source="f"), Layer(("MPS01",))))
    assert [layer.select for layer in both.layers_for(training=True)] == [("MPS05",), ("MPS01",)]
    assert [layer.select for layer in both.layers_for()] == [("ANE-ST",), ("MPS01",)]


def test_patterns_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    settings = Settings(
        exclude=("third_party/", "old_*", "sub/made/*"),
        per_package=(("enc*.mlpackage", ("ANE-ST",)), ("sub/a/*", ("ANE-CV",))),
        file=tmp_path / "pyproject.toml",
    )
    excluded = ("x/third_party/m.mlpackage", "old_1.mlpackage", "made/m.mlpackage", tmp_path / "old_2/m.mlpackage")
    assert all(settings.excludes(Path(each)) for each in excluded)
    assert not any(settings.excludes(Path(each)) for each in ("m.mlpackage", "new/old.mlpackage"))
    assert [layer.ignore for layer in settings.ignored_in(Path("a/encoder.mlpackage"))] == [("ANE-ST",), ("ANE-CV",)]
    assert [layer.ignore for layer in settings.ignored_in(Path("decoder.mlpackage"))] == []


def test_every_key_and_format_is_documented(root: Path) -> None:
    page = (root / "docs" / "lint-config.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in (*KEYS, *FORMATS))
