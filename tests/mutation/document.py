"""docs/mutation.md, written from the table of faults."""

from __future__ import annotations

from .fault import ROOT, Fault
from .faults import FAULTS, SECTIONS

PATH = ROOT / "docs" / "mutation.md"
HEAD = """\
# Who checks the checkers

The proofs that mctc gives are only as good as the tests that would fail if something were wrong. So things are made
wrong on purpose: {count} faults, one at a time, in passes, in the derivation of steps, in every emitter, in kernels,
and in the references that everything else is compared with. Each has to be found by a test of the ordinary suite,
which the table names. That test has to pass without the fault and to fail with it: a fault that breaks an import, or
hangs, does not count.

A fault is a row of a table (`tests/mutation/faults/`): a piece of text that occurs once in a source file, what it
becomes, and the test that has to find it. Where the source moves on, the row no longer fits, and a test says so. The
Metal kernels have a table of their own beside this one, with the check that sees each first: [metal.md](metal.md).

```console
$ python -m pytest tests/mutation -m 'not slow'    # a handful
$ python -m pytest tests/mutation                  # all: six minutes of a processor, -n 2 halves them
$ python -m tests.mutation packed-state-stale      # one, and what the test said
$ python -m tests.mutation passes/                 # those of a folder
```

No file of the working tree is touched. A process that has imported everything but mctc forks a child for each fault.
The child imports mctc from a folder of links to the real sources, in which the faulty file alone is a file of its own,
and runs pytest on the test; hypothesis draws the same examples every time. A changed C++ source is compiled, without
optimisation, into a cache that goes away with the child. So a fault
costs the time of its test: a few seconds.

This page is written from the table: `MCTC_UPDATE_DOCS=1 python -m pytest tests/mutation/test_table.py`.
"""
HOLES = """\
## What was not found at first

{count} of these faults went unseen by the tests that were to find them. What those lacked, and the test that closed it:

| fault | what was missing | the test that finds it now |
|---|---|---|
"""


def document() -> str:
    """The whole page."""
    parts = [HEAD.format(count=len(FAULTS))]
    for title, faults in SECTIONS.items():
        parts.append(
            f"## {title}\n\n| what is wrong | where | found by |\n|---|---|---|\n" + "".join(map(_row, faults))
        )
    missed = [fault for fault in FAULTS if fault.hole]
    rows = "".join(f"| {fault.what} | {fault.hole} | {_test(fault)} |\n" for fault in missed)
    parts.append(HOLES.format(count=len(missed)) + rows)
    return "\n".join(parts)


def _row(fault: Fault) -> str:
    return f"| {fault.what} | [`{fault.file}`](../{fault.file}) | {_test(fault)} |\n"


def _test(fault: Fault) -> str:
    """The file, and the test in it where one is named."""
    file, _, test = fault.caught_by.partition("::")
    return f"`{file.removeprefix('tests/')}`" + (f" `{test}`" if test else "")
