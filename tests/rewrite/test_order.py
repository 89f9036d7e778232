"""Passes run in the order that they declare; what cannot be met is an error that names the passes."""

from __future__ import annotations

import pytest

from mctc.rewrite.base import Exact, Pass
from mctc.rewrite.order import OrderError, ordered


def passes(*declared: tuple[str, str, str], stage: str = "common") -> list[type[Pass]]:
    """Passes from (name, after, before)."""
    return [
        type(
            name,
            (Pass,),
            {
                "name": name,
                "promise": Exact(),
                "stage": stage,
                "after": tuple(after.split()),
                "before": tuple(before.split()),
            },
        )
        for name, after, before in declared
    ]


def names(found: list[type[Pass]]) -> list[str]:
    return [cls.name for cls in found]


def test_after_and_before_are_met_and_ties_go_by_name() -> None:
    given = passes(("c", "", "a"), ("a", "", ""), ("b", "a", ""), ("aa", "", ""))
    assert names(ordered(given, "common")) == ["aa", "c", "a", "b"]
    assert names(ordered(given[::-1], "common")) == ["aa", "c", "a", "b"]


def test_stages_are_apart() -> None:
    given = [*passes(("x", "", "y")), *passes(("y", "x", ""), stage="deploy")]
    assert names(ordered(given, "common")) == ["x"]
    assert names(ordered(given, "deploy")) == ["y"]


def test_a_name_with_a_question_mark_may_be_absent() -> None:
    assert names(ordered(passes(("a", "gone?", "lost?")), "common")) == ["a"]
    assert names(ordered(passes(("b", "", ""), ("c", "", "b?")), "common")) == ["c", "b"]


def test_an_unknown_name_is_an_error_with_a_near_one() -> None:
    with pytest.raises(
        OrderError, match="pass a wants to run next to linear-to-con, which is not among the passes"
    ) as caught:
        ordered(passes(("a", "linear-to-con", ""), ("linear-to-conv", "", "")), "common")
    assert "linear-to-conv" in (caught.value.hint or "")


def test_a_circle_is_shown() -> None:
    with pytest.raises(OrderError, match="in a circle: ") as caught:
        ordered(passes(("a", "b", ""), ("b", "c", ""), ("c", "a", ""), ("d", "", "")), "common")
    assert all(name in caught.value.message for name in "abc")
    assert "d" not in caught.value.message.partition("circle: ")[2]


def test_a_common_pass_after_a_deploy_pass_is_an_error() -> None:
    given = [*passes(("x", "y", "")), *passes(("y", "", ""), stage="deploy")]
    with pytest.raises(OrderError, match=r"pass x \(common\) wants to run after y \(deploy\)"):
        ordered(given, "common")
