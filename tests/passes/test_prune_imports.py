"""A build without a `prune` section pays for none of what makes layers smaller."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from mctc.ir.text import parse_program
from mctc.passes.prune import Prune
from mctc.rewrite.base import Context

program = parse_program("program @p { function @f(%x: f32[channel 4]) { %y = relu(%x) return y = %y } }")
assert Prune().run(program, Context()) is program
print([name for name in sys.modules if name.startswith(("mctc.passes.pruning", "mctc.rewrite.axis_groups"))])
"""


def test_what_cuts_entries_is_imported_where_some_are_cut() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
