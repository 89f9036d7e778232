"""MPS020 to MPS023: losses in pieces, where torch has them in one."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from mctc.linter.mps.code import Code, method, receiver
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding

FUNCTIONAL = "torch.nn.functional."


def calls_of(code: Code, function: str, layer: str) -> Iterator[ast.Call]:
    """Calls of a loss: F.nll_loss(...), nn.NLLLoss()(...), or `criterion(...)` after `criterion = nn.NLLLoss()`."""
    for call in code.all(ast.Call):
        if code.called(call) == FUNCTIONAL + function or code.called(code.value(call.func)) == f"torch.nn.{layer}":
            yield call


def produces(code: Code, node: ast.AST, function: str, layer: str) -> bool:
    """Whether an expression is the result of `function`: torch's, F's, a method's, or that of the layer."""
    value = code.value(node)
    if not isinstance(value, ast.Call):
        return False
    name = code.called(value)
    if name in (f"torch.{function}", FUNCTIONAL + function):
        return True
    if not name and method(value) == function:
        return True
    return code.called(code.value(value.func)) == f"torch.nn.{layer}"


def fed_with(loss: tuple[str, str], activation: tuple[str, str], message: str) -> Callable[[Code], Iterator[Finding]]:
    """A rule's search: calls of `loss` whose first argument is the result of `activation`."""

    def find(code: Code) -> Iterator[Finding]:
        for call in calls_of(code, *loss):
            if call.args and produces(code, call.args[0], *activation):
                yield Finding(call, message)

    return find


def logarithms(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        name = code.called(call)
        if name == "torch.log" and call.args:
            inner: ast.AST = call.args[0]
        elif not name and method(call) == "log":
            inner = receiver(call)
        else:
            continue
        for function, layer, fused in (("softmax", "Softmax", "log_softmax"), ("sigmoid", "Sigmoid", "logsigmoid")):
            if produces(code, inner, function, layer):
                yield Finding(call, f"the logarithm of a {function} is `F.{fused}`")


RULES = (
    CodeRule(
        code="MPS020",
        name="separate-log-softmax-and-nll",
        summary="log_softmax and nll_loss as two calls",
        why=(
            "The fused loss is one kernel where two would run, and keeps its intermediate values in one place,"
            " which is steadier in single precision."
        ),
        source=f"{GUIDE} 2.3, symptom 'Training diverges or produces NaNs'.",
        hint="`F.cross_entropy(logits, target)` is both in one",
        fix=(
            "Pass the logits to F.cross_entropy or nn.CrossEntropyLoss, which takes weights, ignore_index and"
            " label smoothing as well."
        ),
        bad="""
            import torch.nn.functional as F

            def loss(logits, target):
                return F.nll_loss(F.log_softmax(logits, dim=-1), target)
        """,
        good="""
            import torch.nn.functional as F

            def loss(logits, target):
                return F.cross_entropy(logits, target)
        """,
        find=fed_with(
            ("nll_loss", "NLLLoss"), ("log_softmax", "LogSoftmax"), "log_softmax and nll_loss, one after the other"
        ),
    ),
    CodeRule(
        code="MPS021",
        name="log-of-softmax",
        summary="the logarithm of a softmax or sigmoid",
        why=(
            "A softmax that underflows to 0 has the logarithm -inf, and its gradient is NaN. log_softmax"
            " subtracts instead and has no such place."
        ),
        source=f"{GUIDE} 2.3, symptom 'Training diverges or produces NaNs': stable, fused forms.",
        hint="use `F.log_softmax` or `F.logsigmoid`",
        fix=("Use F.log_softmax(x, dim) in place of softmax and log, F.logsigmoid(x) in place of sigmoid and log."),
        bad="""
            import torch

            def scores(logits):
                return torch.log(torch.softmax(logits, dim=-1))
        """,
        good="""
            import torch

            def scores(logits):
                return torch.log_softmax(logits, dim=-1)
        """,
        find=logarithms,
    ),
    CodeRule(
        code="MPS022",
        name="softmax-before-cross-entropy",
        summary="a softmax in front of cross_entropy",
        why=(
            "cross_entropy takes the softmax itself. Taken twice, gradients shrink and the loss can't fall below"
            " that of a nearly even distribution, which looks like training that stalls."
        ),
        source=(f"PyTorch documentation of CrossEntropyLoss (input: unnormalised logits); {GUIDE} 2.3, fused losses."),
        hint="pass the logits",
        fix=("Pass the logits themselves; take the softmax only where probabilities are shown or decoded."),
        bad="""
            import torch
            import torch.nn.functional as F

            def loss(logits, target):
                return F.cross_entropy(torch.softmax(logits, dim=1), target)
        """,
        good="""
            import torch.nn.functional as F

            def loss(logits, target):
                return F.cross_entropy(logits, target)
        """,
        find=fed_with(
            ("cross_entropy", "CrossEntropyLoss"), ("softmax", "Softmax"), "cross_entropy takes the softmax itself"
        ),
    ),
    CodeRule(
        code="MPS023",
        name="sigmoid-before-bce",
        summary="a sigmoid in front of binary_cross_entropy",
        why=(
            "A sigmoid that rounds to 0 or 1 makes the logarithm in the loss infinite (torch cuts it off at"
            " -100). The form with logits never leaves the logarithmic scale."
        ),
        source=f"PyTorch documentation of BCEWithLogitsLoss (log-sum-exp); {GUIDE} 2.3, fused losses.",
        hint="`F.binary_cross_entropy_with_logits` is both in one",
        fix="Pass the logits to F.binary_cross_entropy_with_logits or nn.BCEWithLogitsLoss.",
        bad="""
            import torch
            import torch.nn.functional as F

            def loss(logits, target):
                return F.binary_cross_entropy(torch.sigmoid(logits), target)
        """,
        good="""
            import torch.nn.functional as F

            def loss(logits, target):
                return F.binary_cross_entropy_with_logits(logits, target)
        """,
        find=fed_with(
            ("binary_cross_entropy", "BCELoss"), ("sigmoid", "Sigmoid"), "sigmoid and binary_cross_entropy apart"
        ),
    ),
)
