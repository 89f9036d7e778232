"""MPS066 and MPS067: optimizers that are asked for one kernel in place of many."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code, argument
from mctc.linter.mps.requirements import torch_at_least
from mctc.linter.mps.rule import CodeRule, Finding

SINCE = {"Adam": (2, 5), "AdamW": (2, 5), "SGD": (2, 5)}  # the torch that brought the kernel of MPS
WITHOUT = "Adagrad"


def fused_early(code: Code) -> Iterator[Finding]:
    for _call, name, given in _fused(code):
        needed = SINCE.get(name)
        if needed is None:
            continue
        known = torch_at_least(Path(code.source.name))
        if known is None or known < needed:
            least = ".".join(map(str, needed))
            yield Finding(given, f"`{name}(fused=True)` fails on MPS before torch {least}")


def fused_adagrad(code: Code) -> Iterator[Finding]:
    for _call, name, given in _fused(code):
        if name == WITHOUT:
            yield Finding(given, "the fused Adagrad has no MPS kernel in torch 2.13")


def _fused(code: Code) -> Iterator[tuple[ast.Call, str, ast.expr]]:
    """Calls of torch's optimizers with a literal fused=True: the call, the optimizer, and where that is said."""
    for call in code.all(ast.Call):
        name = code.name(code.value(call.func))
        if not name.startswith("torch.optim."):
            continue
        given = argument(call, "fused") or _in_dictionary(code, call)
        if given is not None and code.constant(given) is True and not code.guarded(call) and not code.guarded(given):
            yield call, name.rpartition(".")[2], given


def _in_dictionary(code: Code, call: ast.Call) -> ast.expr | None:
    """`AdamW(parameters, **settings)` after `settings = {"fused": True}` or `dict(fused=True)`."""
    for keyword in call.keywords:
        settings = code.value(keyword.value) if keyword.arg is None else None
        if isinstance(settings, ast.Call) and code.called(settings) == "dict":
            return argument(settings, "fused")
        if isinstance(settings, ast.Dict):
            pairs = zip(settings.keys, settings.values)
            return next((value for key, value in pairs if key is not None and code.constant(key) == "fused"), None)
    return None


RULES = (
    CodeRule(
        code="MPS066",
        name="fused-optimizer",
        summary="fused=True of an optimizer, which needs torch 2.5 on MPS",
        why=(
            "Before torch 2.5 the constructor raises '`fused=True` requires all the params to be floating point"
            " Tensors of supported devices', and MPS is not among them. 16-bit parameters of bfloat16 need torch 2.6."
        ),
        source=(
            "torch/utils/_foreach_utils.py, which lists the devices ('mps' from torch 2.5 on); pytorch/pytorch pull"
            " requests 127242 (Adam, AdamW), 129350 (SGD) and 141104 (bfloat16)."
        ),
        hint="ask for torch>=2.5, or write fused=torch.cuda.is_available()",
        fix=(
            "Require torch>=2.5 in pyproject.toml, setup.py, requirements.txt or environment.yml: with that in the"
            " nearest of them above the file there is no finding. Or leave the choice to torch: without fused= it takes"
            " a form that every device has."
        ),
        bad="""
            import torch

            def make(model):
                return torch.optim.AdamW(model.parameters(), fused=True)
        """,
        good="""
            import torch

            def make(model):
                cuda = torch.cuda.is_available()
                return torch.optim.AdamW(model.parameters(), fused=cuda)
        """,
        find=fused_early,
    ),
    CodeRule(
        code="MPS067",
        name="fused-adagrad",
        severity=Severity.ERROR,
        summary="fused=True of Adagrad, which MPS has no kernel for",
        why=(
            "The constructor takes MPS for a device with fused kernels, and the first step raises NotImplementedError:"
            " there is a fused Adagrad for the CPU and CUDA alone."
        ),
        source="native_functions.yaml of torch 2.13: _fused_adagrad_ is dispatched to CPU and CUDA.",
        hint="leave out fused=True",
        fix="Leave out fused=, or write fused=torch.cuda.is_available().",
        bad="""
            import torch

            def make(model):
                return torch.optim.Adagrad(model.parameters(), fused=True)
        """,
        good="""
            import torch

            def make(model):
                return torch.optim.Adagrad(model.parameters())
        """,
        find=fused_adagrad,
    ),
)
