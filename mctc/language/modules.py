"""Files and what they define: imports resolved, definitions by name, the prelude behind everything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import field
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path

from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError, Note
from mctc.diagnostics.near import did_you_mean
from mctc.diagnostics.source import SourceFile, Span
from mctc.language import syntax as s
from mctc.language.data_files import DataFiles
from mctc.language.library import Part, parts
from mctc.language.limits import FILES
from mctc.language.parser import Parsed, parse_all
from mctc.language.read import Spec, read_source
from mctc.records import dataclass

PRELUDE = "lib/nn.mct"
LIBRARY = "mctc.spec"
ROOT_MARKS = (".git", "pyproject.toml")

Definition = s.Block | s.Model | s.Variant


@dataclass(frozen=True, eq=False)
class Defined:
    """A definition and the module that its names are looked up in. read: parses it."""

    module: Module
    read: Callable[[], Definition]

    @cached_property
    def node(self) -> Definition:
        return self.read()


@dataclass(eq=False)
class Module:
    """One file. `own` are its definitions, `imported` those of the files it imports, `prelude` what every file sees.

    file: what was parsed at once: all, or the imports of a file of the library. path: where it lies; reached: where the
    spec and its imports say so, symbolic links left as they are.
    """

    source: SourceFile
    path: Path
    reached: Path
    file: s.File
    data: DataFiles
    own: dict[str, Defined] = field(default_factory=dict)
    imported: dict[str, Defined] = field(default_factory=dict)
    prelude: dict[str, Defined] = field(default_factory=dict)

    def find(self, name: str) -> Defined | None:
        return self.own.get(name) or self.imported.get(name) or self.prelude.get(name)

    def names(self) -> Iterator[str]:
        yield from {**self.prelude, **self.imported, **self.own}

    def models(self) -> list[Defined]:
        """The models of this file, in order."""
        return [defined for defined in self.own.values() if not isinstance(defined.node, s.Block)]


def library_root() -> Path:
    """The folder of the shipped library."""
    return Path(str(import_module(LIBRARY).__file__)).parent.resolve()


class Loader:
    """Loads a file and all that it imports. Problems are collected; the modules hold what could be read.

    root: the folder that imports may not leave; that of the project if left out.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.problems: list[Diagnostic] = []
        self.modules: dict[Path, Module] = {}
        self.loading: list[tuple[Path, str]] = []
        self.library = library_root()
        self.data = DataFiles(self.library)
        self.root = self.library if root is None else root.resolve()
        self._in_project = root is None

    def load(self, spec: Spec) -> Module | None:
        """The module of the file that the author named. None when it cannot be read."""
        try:
            source = read_source(spec) if isinstance(spec, Path) else spec.read()
        except DiagnosticError as error:
            self.problems += error.diagnostics
            return None
        if isinstance(spec, Path):
            path = reached = spec.resolve()
        else:
            path, reached = Path.cwd() / spec.NAME, Path.cwd() / spec.FILE
        if self._in_project:
            self.root = project_root(path)
        self.data.root, self.data.spec = self.root, reached.parent
        module = self._module(source, path, reached)
        self._identify()
        return module

    def _identify(self) -> None:
        """Names the author's files by their places below the folder that holds them all."""
        own = [module for module in self.modules.values() if not module.source.shipped]
        folders = [folder for module in own for folder in (module.reached.parent, *self.data.folders(module))]
        self.data.common = common = Path(os.path.commonpath(folders))
        for module in own:
            module.source.identity = module.reached.relative_to(common).as_posix()

    def _module(self, source: SourceFile, path: Path, reached: Path) -> Module:
        later = parts(source) if source.shipped else None
        parsed = parse_all(source) if later is None else _imports(source, later)
        self.problems += parsed.problems
        module = Module(source, path, reached, parsed.file, self.data)
        self.modules[path] = module
        self.loading.append((path, source.name))
        prelude = self.library / PRELUDE
        if path != prelude:
            module.prelude = self._prelude(prelude)
        for statement in parsed.file.statements:
            if isinstance(statement, s.Import):
                self._import(module, statement)
        for statement in parsed.file.statements:
            self._define(module, statement)
        for part in later or ():
            if part.name:
                module.own[part.name] = Defined(module, partial(_definition, source, part))
        self.loading.pop()
        return module

    def _read(self, path: Path, name: str) -> SourceFile:
        source = read_source(path, name)
        if path.is_relative_to(self.library):
            source.shipped, source.identity = True, f"{LIBRARY}/{path.relative_to(self.library).as_posix()}"
        return source

    def _prelude(self, path: Path) -> dict[str, Defined]:
        if path not in self.modules and path.exists():
            self._module(self._read(path, f"{LIBRARY}/{PRELUDE}"), path, path)
        made = self.modules.get(path)
        return {} if made is None else {**made.imported, **made.own}

    def _define(self, module: Module, statement: s.Statement) -> None:
        if isinstance(statement, s.Import):
            return
        if not isinstance(statement, (s.Block, s.Model, s.Variant)):
            hint = "put it into a model: `model name { ... }`"
            what = "this can't stand outside of a model or block"
            self.problems.append(Diagnostic("MCT0045", what, _head(statement), hint))
            return
        name = statement.name
        before = module.own.get(name.text)
        if before is not None:
            note = Note("it is defined here first", before.node.name.span)
            hint = "give one of them another name"
            self.problems.append(Diagnostic("MCT0043", f"`{name.text}` is defined twice", name.span, hint, (note,)))
            return
        if name.text in module.imported:
            other = module.imported[name.text].node.name.span
            message = f"`{name.text}` is imported already"
            note = Note("it is imported from here", other)
            self.problems.append(Diagnostic("MCT0044", message, name.span, "give this one another name", (note,)))
        module.own[name.text] = Defined(module, lambda: statement)

    def _import(self, module: Module, node: s.Import) -> None:
        found = self._find(module, node)
        if found is None:
            return
        path, name = found
        if any(path == loading for loading, _ in self.loading):
            start = next(i for i, (loading, _) in enumerate(self.loading) if loading == path)
            loop = " -> ".join([*(shown for _, shown in self.loading[start:]), self.loading[start][1]])
            hint = "move what both need into a third file"
            self._problem("MCT0042", f"these files import one another: {loop}", node.path.span, hint)
            return
        if path not in self.modules:
            if len(self.modules) > FILES:
                self._problem("MCT0005", f"more than {FILES} files are imported", node.path.span)
                return
            try:
                reached = Path(os.path.normpath(module.reached.parent / node.path.value))
                self._module(self._read(path, name), path, reached)
            except DiagnosticError as error:
                note = Note("it is imported here", node.path.span)
                self.problems += [
                    Diagnostic(d.code, d.message, d.span, d.hint, (note,), file=d.file) for d in error.diagnostics
                ]
                return
        self._merge(module, self.modules[path], node)

    def _merge(self, module: Module, other: Module, node: s.Import) -> None:
        for name, defined in other.own.items():
            before = module.imported.get(name)
            if before is not None and before is not defined:
                message = f"`{name}` comes from two imports: {before.module.source.name} and {other.source.name}"
                self._problem("MCT0044", message, node.path.span, "rename one of the two definitions")
            module.imported.setdefault(name, defined)

    def _find(self, module: Module, node: s.Import) -> tuple[Path, str] | None:
        """The file that an import means and its name in diagnostics: beside the importing file, else in the library."""
        written = node.path.value
        beside = module.path.parent / written
        for candidate, name in (
            (beside, os.path.normpath(Path(module.source.name).parent / written)),
            (self.library / written, f"{LIBRARY}/{os.path.normpath(written)}"),
        ):
            try:
                path = candidate.resolve()
                inside = any(path.is_relative_to(root) for root in (self.root, self.library))
                exists = path.exists()
            except (OSError, ValueError, RuntimeError):
                continue
            if not inside and (exists or Path(written).is_absolute() or ".." in Path(written).parts):
                message = f'"{written}" lies outside of the project ({self.root.name}) and of the library'
                self._problem("MCT0041", message, node.path.span, "copy the file into the project")
                return None
            if exists:
                return path, name
        message = f'there is no file "{written}", neither beside {module.source.name} nor in the library'
        self._problem("MCT0040", message, node.path.span, did_you_mean(written, self._candidates(beside)))
        return None

    def _candidates(self, beside: Path) -> list[str]:
        found = [f"lib/{path.name}" for path in sorted(self.library.glob("lib/*.mct"))]
        try:
            names = sorted(path.name for path in beside.parent.glob("*.mct"))[:200]
        except (OSError, ValueError):
            names = []
        folder = os.path.relpath(beside.parent, beside.parent.parent) if beside.parent.name == "lib" else ""
        return found + [f"{folder}/{name}" if folder else name for name in names]

    def _problem(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.problems.append(Diagnostic(code, message, span, hint))


def _imports(source: SourceFile, found: list[Part]) -> Parsed:
    """A file of the library without its definitions: its first statements, which are imports."""
    first = next((part.start for part in found if part.name), len(source.text))
    return parse_all(source, 0, first)


def _definition(source: SourceFile, part: Part) -> Definition:
    """Raises DiagnosticError where a file of the library is damaged."""
    parsed = parse_all(source, part.start, part.end)
    if parsed.problems:
        raise DiagnosticError(parsed.problems)
    (statement,) = parsed.file.statements
    assert isinstance(statement, (s.Block, s.Model, s.Variant))  # as the first word says
    return statement


def project_root(path: Path) -> Path:
    """The nearest folder above `path` that holds a project (.git, pyproject.toml), else the folder of the file."""
    for folder in path.parents:
        if any((folder / mark).exists() for mark in ROOT_MARKS):
            return folder
    return path.parent


def _head(statement: s.Statement) -> Span:
    """The first line of a statement."""
    span = statement.span
    end = span.source.text.find("\n", span.start, span.end)
    return span if end < 0 else Span(span.source, span.start, end)
