"""docs/lint-json.md, from the schema of the JSON report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mctc.linter.coreml.formats.json_schema import schema

INTRODUCTION = """# The JSON report of `mctc lint`

`mctc lint --format json model.mlpackage` writes everything that the other formats print, and more: every op with its
eligibility, its predicted place and its estimates. It is one object for all packages of the call. Its records stand one
a line, so two reports can be compared by eye, and `grep` finds what it is asked for.

This page is made from the JSON Schema of mctc; `python -m mctc.linter.coreml.formats.json_schema` prints it.
Every key of the page is always there. A reader should pass over keys that it does not know: new ones leave `version` as
it is.

```
mctc lint --format json model.mlpackage > report.json
jq -r '.packages[].functions[].ops[] | select(.predicted == "cpu") | [.cpu_us, .type, .name] | @tsv' report.json
```

Names come from the package and may be anything: escape them for where you show them. Text is pure ASCII (`\\uXXXX`),
and numbers are finite."""


def page() -> str:
    """The text of docs/lint-json.md."""
    whole = schema()
    parts = [INTRODUCTION, *_section("The report", whole)]
    for name, part in whole["$defs"].items():
        parts += _section(name, part)
    return "\n\n".join(parts) + "\n"


def _section(name: str, part: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    yield str(part["description"])
    rows = [f"| `{key}` | {kind} | {text} |" for key, kind, text in _rows(part["properties"])]
    yield "\n".join(["| key | type | meaning |", "|---|---|---|", *rows])


def _rows(properties: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, type and meaning of each property, those of objects inside included, with dots between."""
    for key, value in properties.items():
        if "description" not in value:  # the entries of a table by severity or by place
            continue
        yield before + key, _type(value), value["description"]
        yield from _rows(value.get("properties", {}), f"{before}{key}.")


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})"
    if "const" in value or "enum" in value:
        return ", ".join(f"`{json.dumps(each)}`" for each in value.get("enum", [value.get("const")]))
    kinds = value["type"] if isinstance(value["type"], list) else [value["type"]]
    if "items" in value:
        return f"list of {_type(value['items'])}"
    if isinstance(value.get("additionalProperties"), dict):
        return f"object of {_type(value['additionalProperties'])}"
    if value.get("properties") and not any("description" in each for each in value["properties"].values()):
        return f"object of {', '.join(f'`{key}`' for key in value['properties'])}"
    return " or ".join(kinds)
