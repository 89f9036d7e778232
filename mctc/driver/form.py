"""The form of manifest.json as data (docs/manifest.md), and where a manifest departs from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NUMBER = (int, float)
COUNT = (int, None)
RATE = (*NUMBER, None)
TEXT = (str, None)
OLD_KEYS = {"beside": "extra_targets", "rows_of": "embedding_table"}
"""Keys of manifests that were written before, and how they are called now."""

PORT = {
    "name": str, "spec_name": str, "shape": [(int, str)], "dtype": str, "roles": [str], "ids_below?": int,
    "embedding_table?": str, "given?": str, "row_of?": str, "frames?": COUNT, "delay_frames?": int,
    "input_frames_per_frame?": NUMBER, "latency_ms?": RATE,
}  # fmt: skip
CALLED = {"package": str, "name": str, "operations": int, "inputs": [PORT], "outputs": [PORT]}
RAN = {"name": str, "ops_before": int, "ops_after": int, "error": RATE}
FORM = {
    "schema": int,
    "mctc": str,
    "model": str,
    "target": str,
    "options": {
        "state": TEXT, "device": TEXT, "layout": TEXT, "precision": TEXT, "scan?": TEXT, "without": [str],
        "model": TEXT, "split?": TEXT, "passes?": {...: {...: object}}, "defines": {...: object},
    },
    "source": {"spec": str, "files": {...: str}},
    "weights": {"seed?": int, "file?": str, "sha256?": str},
    "parameters": int,
    "stream": {
        "chunk_frames": int, "chunk_ms": RATE, "frame_rate_hz": RATE, "utterance_frames": COUNT, "streams": bool,
        "labels": COUNT,
        "latencies?": [{"chunk_frames": int, "chunk_ms": RATE, "functions": {...: str}}],
    },
    "functions": {
        ...: {**CALLED, "component": str, "streams_over": str, "states": [PORT], "packing": [{...: object}],
              "needs_valid": bool},
    },
    "whole": {...: CALLED},
    "extra_targets": {...: {"artifacts?": [str], "missing?": str}},
    "vocabularies": [{"function": str, "result": str, "valid": int}],
    "blank": COUNT,
    "durations?": [int],
    "prompt?": (
        {"begin": [int], "end": int, "before?": [int], "context?": COUNT, "heading?": COUNT},
        None,
    ),
    "audio": ({"function": str, "input": str, "exists?": (str, None)}, None),
    "tokens?": ({"file": str, "sha256": str, "kind": str, "size": int}, None),
    "passes": {...: [RAN]},
    "explanations": [{"pass": str, "where": str, "why": str}],
    "refusals?": [{
        "pass": str, "function": str, "op": str, "where": str, "place": TEXT, "touched": [str], "why": str,
    }],
    "verification": [{"function": str, "result": str, "error": RATE}],
    "files": {...: str},
}  # fmt: skip
"""A dict says which keys there are ('?': may be missing; further ones are let be), `...` any key; a list says what each
item is; a tuple, any of these; `object`, anything."""


def renamed(content: Any) -> Any:
    """A manifest whose keys have the names of today: those of OLD_KEYS are read from builds that were made before."""
    if not isinstance(content, dict):
        return content
    content = _with_names(content)
    for place in ("functions", "whole"):
        for function in content[place].values() if isinstance(content.get(place), dict) else ():
            for kind in ("inputs", "outputs", "states"):
                if isinstance(function, dict) and isinstance(function.get(kind), list):
                    function[kind] = [_with_names(port) for port in function[kind]]
    return content


def _with_names(entry: Any) -> Any:
    return {OLD_KEYS.get(key, key): value for key, value in entry.items()} if isinstance(entry, dict) else entry


def departures(value: Any, form: Any = FORM, place: str = "") -> Iterator[str]:
    """What is missing or of another kind, each by its place: 'functions.encoder.inputs[0].shape'."""
    match form:
        case tuple():
            if all(any(departures(value, each, place)) for each in form):
                yield f"{place} is {_shown(value)}"
        case list():
            if not isinstance(value, list):
                yield f"{place} is no list"
                return
            for index, item in enumerate(value):
                yield from departures(item, form[0], f"{place}[{index}]")
        case dict():
            yield from _of_table(value, form, place)
        case None:
            if value is not None:
                yield f"{place} is {_shown(value)}"
        case _:
            if not isinstance(value, form) or (isinstance(value, bool) and form in (int, float)):
                yield f"{place} is {_shown(value)}"


def _of_table(value: Any, form: Mapping[Any, Any], place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place or 'it'} is no table"
        return
    if ... in form:
        for key, item in value.items():
            yield from departures(item, form[...], f"{place}.{key}")
        return
    for key, item in form.items():
        name = key.removesuffix("?")
        inside = f"{place}.{name}" if place else name
        if name in value:
            yield from departures(value[name], item, inside)
        elif name == key:
            yield f"{inside} is missing"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
