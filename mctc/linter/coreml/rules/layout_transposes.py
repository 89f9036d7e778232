"""Transposes of tensors with a long axis."""

from __future__ import annotations

from mctc.linter.coreml.forms import axes
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import Effect, OpRule, Severity
from mctc.linter.coreml.target import Target


def _long_transpose(op: Op, target: Target) -> str | None:
    shape, perm, limit = op.shape("x") or (), axes(op, "perm"), target.family.transpose
    if sorted(perm) != list(range(len(shape))):
        return None
    # Where axes of one element stand makes no difference.
    before = [place for place, extent in enumerate(shape) if extent != 1]
    after = [place for place in perm if shape[place] != 1]
    moved = max((shape[old] or 0 for old, new in zip(before, after) if old != new), default=0)
    return f"moves an axis of {moved}; {target.family.name} moves up to {limit}" if moved > limit else None


TRANSPOSES = (
    OpRule(
        code="ANE-SH-006",
        name="long-transpose",
        summary="a transpose that moves a long axis",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="D",
        confidence="M",
        ops=("transpose",),
        why="""
            The compiler's tables let a transpose move up to 16384 elements on M1 to M3 and 65536 from the M4 on, and
            its check of transposes looks at that. Nobody has tried it through Core ML.
        """,
        fix="Leave the long axis where it is.",
        source="ane-guide appendix A and chapter 17",
        find=_long_transpose,
        fires="""
            x: fp16[1, 16385, 1, 64]
            y: fp16[1, 64, 1, 16385] = transpose(x=x, perm=[0, 3, 2, 1])
            return y
        """,
        silent="""
            x: fp16[1, 16384, 1, 64]
            y: fp16[1, 64, 1, 16384] = transpose(x=x, perm=[0, 3, 2, 1])
            return y
        """,
    ),
)
