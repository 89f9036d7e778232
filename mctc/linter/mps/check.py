"""Files in, diagnostics out."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from mctc.diagnostics.diagnostic import Diagnostic, Note
from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.source import SourceFile, Span
from mctc.linter.mps.calls import find_steps
from mctc.linter.mps.code import Code
from mctc.linter.mps.noqa import ALL, suppressed
from mctc.linter.mps.program import Program
from mctc.linter.mps.rule import CodeRule, Finding
from mctc.linter.mps.suites import is_test_file, test_lines
from mctc.linter.mps.table import NOT_CHECKED, RULES

SKIPPED = {"__pycache__", "node_modules", "site-packages", "venv"}  # folders, beside those that begin with a dot


def python_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files themselves, and every .py file of a folder in order, each once; a link to one of them is left out.

    Raises UsageError for a folder without any.
    """
    found: list[Path] = []
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*.py")) if not _is_skipped(file.relative_to(path))]
            if not inside:
                raise UsageError(f"{path}: there is no .py file in this folder", hint="name a file, or another folder")
        found += inside
    own = {file.resolve() for file in found if not file.is_symlink()}
    seen: set[Path] = set()
    for file in found:
        real = file.resolve()
        if real not in seen and not (file.is_symlink() and real in own):
            seen.add(real)
            yield file


def _is_skipped(inside: Path) -> bool:
    return any(part in SKIPPED or part.startswith(".") for part in inside.parts)


def check_files(
    files: Sequence[Path], codes: Collection[str] = RULES, folders: Sequence[Path] = ()
) -> list[Diagnostic]:
    """What the rules of `codes` find in files that belong together: a function of one may be called by another's loop.

    In order of the files and of their text; MPS000 alone for a file that can't be read. folders: those that the files
    were found in; what in them are tests, their names say.
    """
    read = {file: read_source(file) for file in files}
    sources = {file: source for file, source in read.items() if isinstance(source, SourceFile)}
    tests = {file for file in sources if is_test_file(file, _folder_of(file, folders))}
    program = Program(sources, sources.get)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's own about the checked text, such as an invalid escape
        find_steps(program, tests)
    found: list[Diagnostic] = []
    for file, source in read.items():
        if isinstance(source, SourceFile):
            known = [code for code in codes if file not in tests or (code in RULES and RULES[code].in_tests)]
            found += _check(source, known, program)
        else:
            found.append(source)
    return found


def _folder_of(file: Path, folders: Sequence[Path]) -> Path | None:
    return next((folder for folder in folders if file.is_relative_to(folder)), None)


def check_file(path: Path, codes: Collection[str] = RULES) -> list[Diagnostic]:
    """The same for one file."""
    return check_files([path], codes)


def check_source(source: SourceFile, codes: Collection[str] = RULES) -> list[Diagnostic]:
    """The same for a text. Never raises for what the text holds."""
    file = Path(source.name)
    program = Program([file], {file: source}.get)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        find_steps(program)
    return _check(source, codes, program)


def read_source(path: Path) -> SourceFile | Diagnostic:
    """The text of a file, or why it can't be read."""
    if path.suffix == ".ipynb":
        hint = "write its code to a file first: jupyter nbconvert --to script"
        return _not_checked("a notebook is not checked", hint, str(path))
    try:
        return SourceFile(str(path), path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        return _not_checked(f"byte {error.start} of the file is not UTF-8", "save the file as UTF-8", str(path))
    except OSError as error:
        message = f"the file can't be read: {(error.strerror or str(error)).lower()}"
        return _not_checked(message, "check the path; it is relative to the current folder", str(path))


def _check(source: SourceFile, codes: Collection[str], program: Program) -> list[Diagnostic]:
    file = Path(source.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = program.parsed(file) or Code(source, program.steps[file])
        silenced = suppressed(source.text)
        found = [(rule, finding) for rule in RULES.values() if rule.code in codes for finding in rule.find(code)]
    except SyntaxError as error:
        return [_syntax_error(source, error)]
    except (ValueError, RecursionError, MemoryError) as error:
        reason = "it is nested too deeply" if isinstance(error, (RecursionError, MemoryError)) else str(error)
        return [_not_checked(f"the file can't be parsed: {reason}", NOT_CHECKED.hint, source.name)]
    diagnostics = [_diagnostic(source, rule, finding, _note(code, finding)) for rule, finding in found]
    tests = list(test_lines(code.tree))
    kept = [each for each in diagnostics if not _is_suppressed(each, silenced) and not _is_of_a_test(each, tests)]
    return sorted(kept, key=lambda each: (each.span.start if each.span else 0, each.code))


def _note(code: Code, finding: Finding) -> tuple[Note, ...]:
    """Why the function around a finding runs at every training step, where that is what the finding is about."""
    around = code.step(finding.node) if finding.per_step else None
    step = None if around is None else code.step_of(around)
    name = getattr(around, "name", "")
    if step is None:
        return ()
    when = f"each time that {step.origin}" if "calls" in step.origin else f"in the training loop at {step.origin}"
    return (Note(f"`{name}` runs {when}"),)


def _diagnostic(source: SourceFile, rule: CodeRule, finding: Finding, notes: tuple[Note, ...]) -> Diagnostic:
    span = _span(source, finding)
    return Diagnostic(rule.code, finding.message, span, finding.hint or rule.hint, notes, rule.severity)


def _span(source: SourceFile, finding: Finding) -> Span:
    node = finding.node
    assert isinstance(node, (ast.expr, ast.stmt))
    line, column = node.lineno, node.col_offset
    if finding.tail and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        line = node.func.end_lineno or line
        column = (node.func.end_col_offset or 0) - len(node.func.attr.encode())
    start = _offset(source, line, column)
    end = _offset(source, node.end_lineno or line, node.end_col_offset or column)
    if isinstance(node, (ast.For, ast.AsyncFor)):  # the head is enough to show
        end = _offset(source, node.iter.end_lineno or line, node.iter.end_col_offset or column)
    return Span(source, start, max(start + 1, end))


def _offset(source: SourceFile, line: int, byte_column: int) -> int:
    """Python's columns count bytes of UTF-8; those of a source file count characters."""
    before = source.line(line).encode()[:byte_column]
    return source.offset(line, len(before.decode(errors="ignore")) + 1)


def _is_suppressed(diagnostic: Diagnostic, silenced: dict[int, frozenset[str]]) -> bool:
    if diagnostic.span is None or not silenced:
        return False
    codes = silenced.get(diagnostic.span.location.line, frozenset())
    return ALL in codes or diagnostic.code in codes


def _is_of_a_test(diagnostic: Diagnostic, tests: Collection[tuple[int, int]]) -> bool:
    if diagnostic.span is None or RULES[diagnostic.code].in_tests:
        return False
    line = diagnostic.span.location.line
    return any(first <= line <= last for first, last in tests)


def _syntax_error(source: SourceFile, error: SyntaxError) -> Diagnostic:
    start = source.offset(error.lineno or 1, max(1, error.offset or 1))
    message = f"this is not Python: {error.msg}"
    return Diagnostic(NOT_CHECKED.code, message, Span(source, start, start + 1), NOT_CHECKED.hint)


def _not_checked(message: str, hint: str, name: str) -> Diagnostic:
    return Diagnostic(NOT_CHECKED.code, message, None, hint, file=name)
