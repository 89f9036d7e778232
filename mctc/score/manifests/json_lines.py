"""Files of one JSON object a line, gzipped or not, and typed looks into an object."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from mctc.records import dataclass
from mctc.score.errors import ManifestError


@dataclass(frozen=True)
class JsonEntry:
    """An object of a manifest, and where it is: 'FILE:LINE'."""

    place: str
    content: Mapping[str, Any]

    def text(self, key: str) -> str:
        """Raises ManifestError for what is missing or no text."""
        value = self.content.get(key)
        if not isinstance(value, str):
            raise ManifestError(self.place, f"`{key}` {_found(value, 'text')}")
        return value

    def seconds(self, key: str, otherwise: float | None = None) -> float | None:
        """A time of at least 0, or `otherwise` where there is none. Raises ManifestError for anything else."""
        return self._at_least_0(key, "seconds", otherwise)

    def weight(self) -> float:
        """`weight`, a number of at least 0, or 1. Raises ManifestError for anything else."""
        return self._at_least_0("weight", "a number", 1.0) or 0.0

    def _at_least_0(self, key: str, kind: str, otherwise: float | None) -> float | None:
        value = self.content.get(key)
        if value is None:
            return otherwise
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value < 0:
            raise ManifestError(self.place, f"`{key}` is {json.dumps(value)[:40]}, not {kind} of at least 0")
        return float(value)

    def inner(self, key: str) -> JsonEntry:
        """The object there. Raises ManifestError."""
        return JsonEntry(self.place, _object(self.content.get(key), self.place, key))

    def listed(self, key: str) -> list[JsonEntry]:
        """The objects of a list; none where there is no such list. Raises ManifestError."""
        value = self.content.get(key)
        if value is not None and not isinstance(value, list):
            raise ManifestError(self.place, f"`{key}` is no list")
        return [JsonEntry(self.place, _object(each, self.place, key)) for each in value or []]


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that hold something, with their numbers; of a .gz file those inside. Raises ManifestError."""
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}:{number}", "this is no UTF-8 text") from error
    except (OSError, EOFError) as error:
        raise ManifestError(path, f"it can't be read ({getattr(error, 'strerror', None) or error})") from error


def entries(path: Path) -> Iterator[JsonEntry]:
    """The object of each line. Raises ManifestError, which names the line."""
    for number, line in lines_of(path):
        place = f"{path}:{number}"
        try:
            content = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            told = error.msg if isinstance(error, json.JSONDecodeError) else "too deep"
            raise ManifestError(place, f"this line is no JSON ({told})", hint="one object a line") from error
        yield JsonEntry(place, _object(content, place, "a line"))


def _object(value: Any, place: str, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ManifestError(place, f"`{name}` {_found(value, 'an object')}")
    return value


def _found(value: Any, wanted: str) -> str:
    return "is missing" if value is None else f"is {json.dumps(value)[:40]}, not {wanted}"
