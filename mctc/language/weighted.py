"""Sums of objectives: `0.3 * ctc(of = encoder) + 0.7 * cross_entropy(begin = 1, end = 2)` as its terms."""

from __future__ import annotations

from mctc.language import syntax as s
from mctc.language.failure import fail
from mctc.objectives.settings import AUXILIARIES, OBJECTIVES
from mctc.records import dataclass

EXAMPLE = "for example `0.3 * ctc(of = encoder) + 0.7 * cross_entropy(begin = 1, end = 2)`"


@dataclass(frozen=True)
class Term:
    """An objective, a name with its settings, and the expressions that it is multiplied with."""

    node: s.Expression
    factors: tuple[s.Expression, ...] = ()

    @property
    def name(self) -> str:
        callee = self.node.callee if isinstance(self.node, s.Call) else self.node
        return callee.text if isinstance(callee, s.Name) else ""

    @property
    def of_a_part(self) -> bool:
        """Whether it reads a part of the model, by a head of its own, and not the model's own classes."""
        told = self.node.arguments if isinstance(self.node, s.Call) else ()
        return any(each.name is not None and each.name.text == "of" for each in told) or (
            self.name in AUXILIARIES and self.name not in OBJECTIVES
        )


@dataclass(frozen=True)
class Sum:
    """The objective that the model is made for, and what stands beside it."""

    first: Term
    others: tuple[Term, ...]


def split(node: s.Expression) -> Sum:
    """The terms of an objective. First is the one that reads labels, else the one of the model's own classes.

    Raises FaultError for what is no weighted sum, or a sum of nothing but heads.
    """
    terms = list(_terms(node))
    own = [term for term in terms if not term.of_a_part]
    if not own:
        hint = "add one without `of`: it trains the classes that the model gives"
        raise fail("MCT0153", "no term of this sum is of the model's own classes", node.span, hint)
    first = next((term for term in own if term.name != "ctc"), own[0])
    others = tuple(term for term in terms if term is not first)
    for term in others:
        if not term.of_a_part and term.name != "ctc":
            message = f"a sum has one objective of labels, and `{first.name}` is one already"
            raise fail("MCT0153", message, term.node.span, "beside it stand `ctc` and what is `of` a part")
        if not term.of_a_part and first.name in ("ctc", "joint_ctc_attention"):
            raise fail("MCT0153", f"`{first.name}` trains the classes of frames already", term.node.span)
    return Sum(first, others)


def _terms(node: s.Expression) -> list[Term]:
    while isinstance(node, s.Group):
        node = node.inner
    if not isinstance(node, s.Binary):
        return [Term(node)]
    if node.operator == "+":
        return [*_terms(node.left), *_terms(node.right)]
    if node.operator != "*":
        raise fail("MCT0142", f"objectives are added and weighed, `{node.operator}` does neither", node.span, EXAMPLE)
    weight, weighed = (node.right, node.left) if _holds_one(node.left) else (node.left, node.right)
    return [Term(term.node, (weight, *term.factors)) for term in _terms(weighed)]


def _holds_one(node: s.Expression) -> bool:
    """Whether an objective stands in an expression."""
    if isinstance(node, s.Group):
        return _holds_one(node.inner)
    if isinstance(node, s.Binary):
        return _holds_one(node.left) or _holds_one(node.right)
    return Term(node).name in {**OBJECTIVES, **AUXILIARIES}
