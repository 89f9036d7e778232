"""docs/diagnostics.md, from the catalogue of diagnostics."""

from __future__ import annotations

from mctc.diagnostics.catalogue import CATALOGUE

INTRODUCTION = """Every message of `mctc` about a spec has a code that stays. `mctc explain MCT0051` prints the text of
this page, which is generated from `mctc/diagnostics/catalogue`."""


def page() -> str:
    """The text of docs/diagnostics.md."""
    out = [
        "# Diagnostics",
        INTRODUCTION,
    ]
    for entry in CATALOGUE.values():
        out += [f"## {entry.code}: {entry.title}", entry.explanation]
        if entry.example:
            out.append(f"```\n{entry.example.rstrip()}\n```")
    return "\n\n".join(out) + "\n"
