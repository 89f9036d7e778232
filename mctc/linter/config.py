"""Settings of `mctc lint`: `[tool.mctc.lint]` of the nearest pyproject.toml that has one, and the command line over it.

docs/lint-config.md says what each key means. Codes are looked up later, when the rules are known.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.near import did_you_mean, listing
from mctc.linter.selection import SEVERITIES, Layer, severity_named
from mctc.records import dataclass

NAME = "pyproject.toml"
TABLE = ("tool", "mctc", "lint")
FORMATS = ("text", "json", "sarif", "github", "markdown", "html")
NEVER = "never"


@dataclass(frozen=True)
class Settings:
    """What was asked for; None and empty: not said.

    layers: select, ignore and severity of the file and of the command line. fail_on: a severity, or NEVER. baseline:
    a path from the current folder. exclude: patterns of paths. per_package: selectors to ignore by pattern. file: where
    it is from; patterns are relative to its folder. shape: as --shape takes them. left_out: patterns of the command
    line, relative to the current folder.
    """

    layers: tuple[Layer, ...] = ()
    device: str | None = None
    os: str | None = None
    fail_on: str | None = None
    baseline: Path | None = None
    format: str | None = None
    exclude: tuple[str, ...] = ()
    per_package: tuple[tuple[str, tuple[str, ...]], ...] = ()
    file: Path | None = None
    shape: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def merged(self, command_line: Settings) -> Settings:
        """These with what the command line says over them."""
        names = ("device", "os", "fail_on", "baseline", "format", "exclude", "per_package", "file", "shape", "left_out")
        said = {name: value for name in names if (value := getattr(command_line, name))}
        return replace(self, layers=(*self.layers, *command_line.layers), **said)

    def layers_for(self, *, training: bool = False) -> tuple[Layer, ...]:
        """The layers for the linter of training code or that of packages. A file may speak of both."""
        return tuple(layer.of(training) if layer.source else layer for layer in self.layers)

    def excludes(self, path: Path) -> bool:
        """Whether `exclude` names a path or a folder that it is in."""
        names = list(self._names(path))
        return any(fnmatchcase(name, pattern.rstrip("/")) for pattern in self.exclude for name in names)

    def leaves_out(self, path: Path) -> bool:
        """Whether the command line's patterns name a path or a folder that it is in, also where it was named itself."""
        inner = Path(os.path.relpath(path))
        names = [name for each in (inner, *inner.parents) for name in (each.name, each.as_posix())]
        return any(fnmatchcase(name, pattern.rstrip("/")) for pattern in self.left_out for name in names)

    def ignored_in(self, package: Path) -> Iterator[Layer]:
        """What the file ignores in one package, by its name or its path."""
        names = (package.name, self._from_file(package).as_posix())
        for pattern, selectors in self.per_package:
            if any(fnmatchcase(name, pattern.rstrip("/")) for name in names):
                yield self.per_package_layer(pattern, selectors)

    def per_package_layer(self, pattern: str, selectors: tuple[str, ...]) -> Layer:
        return Layer(ignore=selectors, source=f"{self.file or NAME}: per-package {pattern!r}")

    def _names(self, path: Path) -> Iterator[str]:
        """The names and paths that a pattern may mean."""
        inner = self._from_file(path)
        for each in (inner, *inner.parents):
            yield from (each.name, each.as_posix())

    def _from_file(self, path: Path) -> Path:
        """A path from the folder of the file, absolute where it leads out of that."""
        full, base = Path(os.path.abspath(path)), Path(os.path.abspath(self.file or NAME)).parent  # noqa: PTH100
        return full.relative_to(base) if full.is_relative_to(base) else full


def read_settings(config: Path | None = None, *, isolated: bool = False, start: Path | None = None) -> Settings:
    """The settings of a file: `config`, or the nearest that has some from `start` (the current folder) upwards.

    isolated: none. Raises UsageError for what is not understood.
    """
    if isolated:
        if config is not None:
            raise UsageError("--isolated reads no settings, --config names some", hint="leave out one of them")
        return Settings()
    if config is not None:
        table = _table_of(config)
        if table is None:
            raise UsageError(f"{config}: there is no table [{'.'.join(TABLE)}] in it", hint="docs/lint-config.md")
        return _settings(table, config)
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        file = _shown(folder / NAME)
        table = _table_of(file) if file.is_file() else None
        if table is not None:
            return _settings(table, file)
    return Settings()


def _table_of(file: Path) -> dict[str, Any] | None:
    """The table in a file, None where it has none."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: byte {error.start} is not UTF-8") from error
    except OSError as error:
        raise UsageError(f"{file}: can't be read ({(error.strerror or str(error)).lower()})") from error
    if TABLE[1] not in text:  # most are about something else, and need not even be well-formed
        return None
    table = _parsed(text, file)
    for place, name in enumerate(TABLE):
        inner = table.get(name)
        if inner is None:
            return None
        if not isinstance(inner, dict):
            raise UsageError(f"{file}: {'.'.join(TABLE[: place + 1])} is {_kind(inner)}, not a table")
        table = inner
    return table


def _parsed(text: str, file: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return dict(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{file}: not TOML: {error}", hint="--isolated reads no settings") from error


def _shown(file: Path) -> Path:
    """A path from the current folder where it lies in it."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def _settings(table: Mapping[str, Any], file: Path) -> Settings:
    said: dict[str, Any] = {}
    for key, value in table.items():
        if key not in KEYS:
            hint = did_you_mean(key, KEYS) or f"keys are {listing(KEYS, len(KEYS))}"
            raise UsageError(f"{file}: [{'.'.join(TABLE)}] has no key `{key}`", hint=hint)
        said[key.replace("-", "_")] = KEYS[key](value, f"{file}: {key}")
    layer = Layer(said.pop("select", ()), said.pop("ignore", ()), said.pop("severity", {}), str(file))
    if "baseline" in said:
        said["baseline"] = file.parent / said["baseline"]
    return Settings(layers=(layer,), file=file, **said)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{place} is {_kind(value)}, not a text")
    return value


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{place} is {_kind(value)}, not a list of texts", hint='such as ["ANE-CV", "ANE-ST-001"]')
    return tuple(_text(each, f"{place}: entry {index}") for index, each in enumerate(value, 1))


def _shapes(value: Any, place: str) -> tuple[str, ...]:
    """A table from inputs to extents, as --shape says it."""
    return tuple(f"{name}={_text(extents, f'{place}.{name}')}" for name, extents in _entries(value, place))


def _severities(value: Any, place: str) -> dict[str, str]:
    return {
        code: severity_named(_text(level, f"{place}.{code}"), f"{place}.{code}")
        for code, level in _entries(value, place)
    }


def _per_package(value: Any, place: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((pattern, _texts(codes, f"{place}.{pattern!r}")) for pattern, codes in _entries(value, place))


def _entries(value: Any, place: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise UsageError(f"{place} is {_kind(value)}, not a table")
    return list(value.items())


def _one_of(*known: str) -> Callable[[Any, str], str]:
    def check(value: Any, place: str) -> str:
        text = _text(value, place).lower()
        if text not in known:
            hint = did_you_mean(text, known) or f"there are {listing(known, len(known))}"
            raise UsageError(f"{place}: there is no `{text}`", hint=hint)
        return text

    return check


def _device(value: Any, place: str) -> str:
    from mctc.hardware.devices import find_device

    return _found(find_device, _text(value, place), place)


def _os(value: Any, place: str) -> str:
    from mctc.hardware.systems import find_system

    return _found(find_system, _text(value, place), place)


def _found(find: Callable[[str], object], value: str, place: str) -> str:
    try:
        find(value)
    except UsageError as error:
        raise UsageError(f"{place}: {error.message}", hint=error.hint) from error
    return value


def _kind(value: Any) -> str:
    """'an empty text', 'a number', ...: what TOML has in a place."""
    if isinstance(value, str):
        return "a text" if value.strip() else "an empty text"
    kinds: tuple[tuple[type, str], ...] = ((bool, "true or false"), (int, "a number"), (float, "a number"))
    kinds += ((list, "a list"), (dict, "a table"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "a date")


KEYS: dict[str, Callable[[Any, str], Any]] = {
    "select": _texts,
    "ignore": _texts,
    "severity": _severities,
    "device": _device,
    "os": _os,
    "fail-on": _one_of(*SEVERITIES, NEVER),
    "baseline": _text,
    "format": _one_of(*FORMATS),
    "per-package": _per_package,
    "exclude": _texts,
    "shape": _shapes,
}
