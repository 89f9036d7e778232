"""docs/passes.md, from what the passes declare."""

from __future__ import annotations

import inspect
import textwrap

from mctc.plugins import registry
from mctc.rewrite.base import Pass
from mctc.rewrite.options import options_of, text_of
from mctc.rewrite.order import STAGES, ordered

HEAD = """# Passes

<!-- Written by `python -m docs.pages passes.md` from what the passes declare. -->

A pass is one small file that takes a program and returns a new one. It promises what it keeps, and the promise is
checked by evaluation: `mctc build --verify-each` runs the program before and after every pass on random inputs and
fails with the first op that differs. *exact* means equal up to the order of floating-point operations (a relative error
of 1e-9 in double precision), *reshapes* the same behind a changed interface, *within x* a relative error of x. *rounds*
is checked without evaluation: the ops are the same, and each number is fp16's nearest or brought into its range.

`mctc passes` lists them, `mctc show --after PASS` prints the program after any of them, and `mctc why NAME` tells which
of them touched an op, and which looked at it and let it be, with the reason. Options of a pass are set by
`--pass 'NAME{option=value}'` or in the `passes` section of a spec ([language.md](language.md#sections)). The order
below is that of the pipeline: it is sorted from what each pass declares to run `after` and `before`. A pass of your own
joins by the same declaration ([plugins](plugins.md)).
"""

STAGE_TEXT = {
    "common": "Common passes run on whole utterances, before training and deployment part ways: the training module has"
    " exactly the parameters that are deployed.",
    "number": "Number passes run on whole utterances too, once training has parted ways: the training module keeps the"
    " numbers of the spec. The program that they leave is the one that artifacts are held to (`whole.mir`), and steps"
    " are derived from it. They run once more behind the deploy passes.",
    "deploy": "Deploy passes run on the step functions that are derived after the common ones.",
}


def page() -> str:
    """The text of docs/passes.md, for mctc's own passes; plugins that happen to be installed are left out."""
    known = own()
    parts = [HEAD]
    for stage in STAGES:
        parts.append(f"## {stage.capitalize()} passes\n\n{_wrapped(STAGE_TEXT[stage])}\n")
        parts += [_entry(cls, {each.name for each in known}) for cls in ordered(known, stage)]
    return "\n".join(parts)


def own() -> list[type[Pass]]:
    """The passes that come with mctc."""
    return [cls for cls in registry().passes().values() if cls.__module__.startswith("mctc.")]


def _entry(cls: type[Pass], known: set[str]) -> str:
    text = inspect.cleandoc(cls.__doc__ or "")
    facts = [f"Promise: {cls.promise}."]
    for word, names in (("after", cls.after), ("before", cls.before)):
        present = [name.rstrip("?") for name in names if name.rstrip("?") in known]
        if present:
            facts.append(f"Runs {word} {', '.join(present)}.")
    return f"### {cls.name}\n\n{text}\n\n{_wrapped(' '.join(facts))}\n{_options(cls)}"


def _options(cls: type[Pass]) -> str:
    """A table of the options of a pass; nothing where it has none."""
    options = options_of(cls).values()
    rows = [f"| `{each.name}` | {each.takes} | {text_of(each.default)} | {each.doc} |\n" for each in options]
    return f"\n| option | takes | unasked | |\n|---|---|---|---|\n{''.join(rows)}" if rows else ""


def _wrapped(text: str, width: int = 120) -> str:
    return textwrap.fill(text, width, break_on_hyphens=False)
