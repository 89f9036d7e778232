"""Name maps: which tensors of a checkpoint a parameter is made of, as data.

A map is a TOML file:

    about = "what it is for, in a line"
    specs = ["name_of_a_spec.mct"]
    prefix = "model."    # what some checkpoints put before their names; left out of the names below

    [tensors]    # a parameter of the spec = the tensor it comes from; {x} stands for one element of a name
    "encoder.layers.{i}.ffn.up.{kind}" = "encoder.layers.{i}.fc1.{kind}"
    "head.bias" = { from = ["b1", "b2"], steps = [{ op = "add" }] }

    [ignored]    # a tensor that no parameter needs = why
    "proj_out.weight" = { why = "the token table again", same_as = "embed_tokens.weight" }

Steps are ops of the IR with their attributes: the first takes all of `from` as its operands, each other one the result
before it; `reshape` alone means the parameter's shape; `result` picks one of the results of `split`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mctc.diagnostics.errors import MctcError
from mctc.diagnostics.near import did_you_mean, listing
from mctc.records import dataclass

MAPS = Path(__file__).parent / "maps"
_HOLE = re.compile(r"\\\{([a-z_]+)\\\}")  # {name}, escaped


class MapError(MctcError):
    """A name map that can't be read or found; the message names the file and the entry."""


@dataclass(frozen=True)
class NamePattern:
    """A name with holes: `layers.{i}.weight`. A hole is one element between dots, or a part of one."""

    text: str

    def match(self, name: str) -> Mapping[str, str] | None:
        """What stands in the holes, or None."""
        seen: set[str] = set()

        def hole(found: re.Match[str]) -> str:
            again = found[1] in seen
            seen.add(found[1])
            return f"(?P={found[1]})" if again else f"(?P<{found[1]}>[^.]+)"

        matched = re.fullmatch(_HOLE.sub(hole, re.escape(self.text)), name)
        return None if matched is None else matched.groupdict()

    def filled(self, holes: Mapping[str, str]) -> str:
        return self.text.format_map(holes)


@dataclass(frozen=True)
class MapStep:
    """An op of the IR on what a tensor is so far; `result` says which of its results."""

    op: str
    attributes: Mapping[str, Any]
    result: int = 0


@dataclass(frozen=True)
class MapEntry:
    """A parameter, the tensors that it is made of, and how."""

    parameter: NamePattern
    tensors: tuple[NamePattern, ...]
    steps: tuple[MapStep, ...] = ()


@dataclass(frozen=True)
class Ignored:
    """A tensor that no parameter needs, and why; one that is the `same_as` another must hold the same numbers."""

    tensor: NamePattern
    why: str
    same_as: NamePattern | None = None


@dataclass(frozen=True)
class NameMap:
    name: str
    about: str
    specs: tuple[str, ...]
    prefix: str
    entries: tuple[MapEntry, ...]
    ignored: tuple[Ignored, ...]

    def entry(self, parameter: str) -> tuple[MapEntry, Mapping[str, str]] | None:
        """The first entry for a parameter, and what stands in its holes."""
        found = ((entry, entry.parameter.match(parameter)) for entry in self.entries)
        return next(((entry, holes) for entry, holes in found if holes is not None), None)


def shipped_maps() -> list[NameMap]:
    """The maps that come with mctc, by name."""
    return [read_map(path) for path in sorted(MAPS.glob("*.toml"))]


def shipped_map(name: str) -> NameMap:
    """Raises MapError when there is no map of that name."""
    known = [path.stem for path in sorted(MAPS.glob("*.toml"))]
    if name not in known:
        hint = did_you_mean(name, known) or f"there are {listing(known)}; --map reads one of your own"
        raise MapError(f"there is no name map `{name}`", hint=hint)
    return read_map(MAPS / f"{name}.toml")


def read_map(path: Path) -> NameMap:
    """A map from its file. Raises MapError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MapError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise MapError(f"{path} is no name map: {error}") from error
    return _Reader(path).map(data)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path

    def map(self, data: Mapping[str, Any]) -> NameMap:
        self._known(data, "the map", "about", "specs", "prefix", "tensors", "ignored")
        return NameMap(
            self.path.stem,
            self._text(data, "the map", "about"),
            tuple(self._texts(data.get("specs", []), "specs")),
            self._text(data, "the map", "prefix"),
            tuple(self._entry(name, value) for name, value in self._table(data, "tensors").items()),
            tuple(self._ignored(name, value) for name, value in self._table(data, "ignored").items()),
        )

    def _entry(self, name: str, value: Any) -> MapEntry:
        given = value if isinstance(value, dict) else {"from": value}
        self._known(given, name, "from", "steps")
        tensors = self._texts(given.get("from"), name)
        parameter, steps = self._pattern(name, name), given.get("steps", [])
        if not isinstance(steps, list):
            raise self._error(name, "`steps` is a list of ops")
        return MapEntry(
            parameter,
            tuple(self._pattern(each, name, parameter) for each in tensors),
            tuple(self._step(step, name) for step in steps),
        )

    def _step(self, step: Any, name: str) -> MapStep:
        if not isinstance(step, dict) or not isinstance(step.get("op"), str):
            raise self._error(
                name, "a step is an op with its attributes, for example { op = 'transpose', order = [1, 0] }"
            )
        result = step.get("result", 0)
        if not isinstance(result, int):
            raise self._error(name, "`result` is a number: which of the op's results")
        attributes = {key: _frozen(value) for key, value in step.items() if key not in ("op", "result")}
        return MapStep(step["op"], attributes, result)

    def _ignored(self, name: str, value: Any) -> Ignored:
        given = value if isinstance(value, dict) else {"why": value}
        self._known(given, name, "why", "same_as")
        why, same = self._text(given, name, "why"), self._text(given, name, "same_as")
        if not why:
            raise self._error(name, "say why it is ignored")
        tensor = self._pattern(name, name)
        return Ignored(tensor, why, self._pattern(same, name, tensor) if same else None)

    def _pattern(self, text: str, where: str, whole: NamePattern | None = None) -> NamePattern:
        """A pattern; one that is filled from the holes of another must not have holes of its own."""
        if re.search(r"[{}]", re.sub(r"\{[a-z_]+\}", "", text)):
            raise self._error(where, f"`{text}` has a brace that opens no hole such as {{i}}")
        holes, given = (set(re.findall(r"\{([a-z_]+)\}", each)) for each in (text, whole.text if whole else text))
        if not holes <= given:
            raise self._error(where, f"nothing says what {{{sorted(holes - given)[0]}}} in `{text}` is")
        return NamePattern(text)

    def _table(self, data: Mapping[str, Any], key: str) -> dict[str, Any]:
        value = data.get(key, {})
        if not isinstance(value, dict):
            raise self._error(key, "this is a table of names")
        return value

    def _text(self, data: Mapping[str, Any], where: str, key: str) -> str:
        value = data.get(key, "")
        if not isinstance(value, str):
            raise self._error(where, f"`{key}` is a text")
        return value

    def _texts(self, value: Any, where: str) -> list[str]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
            raise self._error(where, "a name, or a list of names, stands here")
        return texts

    def _known(self, data: Mapping[str, Any], where: str, *known: str) -> None:
        for key in data:
            if key not in known:
                raise self._error(where, f"there is no `{key}` here", did_you_mean(key, known) or listing(known))

    def _error(self, where: str, what: str, hint: str | None = None) -> MapError:
        return MapError(f"{self.path}: {where}: {what}", hint=hint)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value
