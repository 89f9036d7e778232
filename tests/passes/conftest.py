"""What tests of passes share: a pass against textual IR before and after, its promise checked by evaluation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mctc.ir.program import Program
from mctc.ir.text import parse_program, print_program
from mctc.ir.verify import verify
from mctc.rewrite.base import Context, Pass
from mctc.rewrite.validate import validate

Rewrites = Callable[..., tuple[Program, Context]]


@pytest.fixture
def rewrites() -> Rewrites:
    """`rewrites(PASS, before, after, **context)` holds that the pass makes `after` of `before`, as it promises.

    PASS is a class, or an instance where options are given.

    `after` left off: only the promise is checked. Returns the program made and the context.
    """

    def check(
        which: type[Pass] | Pass, before: str, after: str | None = None, **options: object
    ) -> tuple[Program, Context]:
        program, context = parse_program(before), Context(**options)  # type: ignore[arg-type]
        original = print_program(program, locations=True)
        each = which if isinstance(which, Pass) else which()
        made = each.run(program, context)
        verify(made)
        assert print_program(program, locations=True) == original, "a pass leaves its program as it is"
        if after is not None:
            assert print_program(made) == print_program(parse_program(after))
        validate(each, program, made)
        return made, context

    return check
