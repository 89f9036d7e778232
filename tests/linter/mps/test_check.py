"""From files to diagnostics: places, order, what can't be read, and what a comment silences."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.source import SourceFile
from mctc.linter.mps.check import check_file, check_source, python_files
from mctc.linter.mps.noqa import suppressed


def place(found: Diagnostic) -> tuple[int, int, str]:
    assert found.span is not None
    return found.span.location.line, found.span.location.column, found.span.text


def check(text: str) -> list[Diagnostic]:
    return check_source(SourceFile("train.py", text))


def test_a_place_counts_characters_where_python_counts_bytes() -> None:
    (found,) = check("é = 'ü'; x.cuda()\n")
    assert place(found) == (1, 12, "cuda()")


def test_of_a_long_chain_the_call_itself_is_shown() -> None:
    (found,) = check("y = (\n    x.view(3)\n    .cuda()\n    .sum()\n)\n")
    assert place(found) == (3, 6, "cuda()")


def test_findings_come_in_the_order_of_the_text() -> None:
    found = check("import torch\nx.cuda()\ntorch.cuda.synchronize()\ny.to('cuda')\nz.cuda()\n")
    assert [each.code for each in found] == ["MPS001", "MPS003", "MPS002", "MPS001"]


def test_only_the_chosen_rules_look() -> None:
    source = SourceFile("train.py", "x.cuda()\ny.to('cuda')\n")
    assert [each.code for each in check_source(source, {"MPS002"})] == ["MPS002"]


def test_lines_of_windows_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_bytes(b"\xef\xbb\xbfa = 1\r\nx.cuda()\r\n")
    (found,) = check_file(file)
    assert place(found) == (2, 3, "cuda()")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("def f(:\n", 1, 7), ("x = 1\nf(\n", 2, 2), ("x = '\n", 1, 5)],
)
def test_what_is_not_python_is_said_with_its_place(text: str, line: int, column: int) -> None:
    (found,) = check(text)
    assert found.code == "MPS000"
    assert place(found)[:2] == (line, column)


@pytest.mark.parametrize("text", ["x = 1\0\n", "(" * 500 + ")" * 500, "x = " + "-" * 200_000 + "1\n"])
def test_what_the_parser_gives_up_on_is_one_diagnostic(text: str) -> None:
    assert [each.code for each in check(text)] == ["MPS000"]


def test_a_warning_of_python_about_the_checked_text_is_not_shown(recwarn: pytest.WarningsRecorder) -> None:
    assert check("x = '\\d'\nassert (1, 'a')\n") == []
    assert not recwarn.list


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("latin.py", "# caf\xe9\n".encode("latin-1"), "byte 5"), ("notes.ipynb", b"{}", "notebook")],
)
def test_a_file_that_is_no_text_is_said(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    (found,) = check_file(tmp_path / name)
    assert found.code == "MPS000"
    assert said in found.message
    assert found.file == str(tmp_path / name)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    (found,) = check_file(tmp_path / "none.py")
    assert "no such file" in found.message


def test_a_folder_stands_for_its_python_files_each_once(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "sub/c.py", "sub/d.txt", ".venv/e.py", "sub/__pycache__/f.py", "venv/g.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    found = python_files([tmp_path, tmp_path / "a.py"])
    assert [file.relative_to(tmp_path).as_posix() for file in found] == ["a.py", "b.py", "sub/c.py"]


def test_a_folder_without_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no \.py file"):
        list(python_files([tmp_path]))


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: MPS001",
        "#noqa:MPS001",
        "# NOQA: mps001",
        "# noqa: E501, MPS001",
        "# device is CUDA here  # noqa: MPS001",
    ],
)
def test_a_comment_silences_its_line(comment: str) -> None:
    assert check(f"x.cuda()  {comment}\n") == []


@pytest.mark.parametrize("comment", ["# noqa: E501", "# noqa: MPS002", "# no qa", ""])
def test_another_comment_does_not(comment: str) -> None:
    assert [each.code for each in check(f"x.cuda()  {comment}\n")] == ["MPS001"]


def test_a_string_silences_nothing() -> None:
    assert len(check("x.cuda('# noqa')\n")) == 1
    assert suppressed("x = '# noqa'\n") == {}
