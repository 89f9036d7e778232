"""MPS060 to MPS065: operations that MPS lacks, runs slowly, or once got wrong."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from math import prod
from typing import TypeGuard

from mctc.linter.mps.code import Code, argument, method, receiver
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding
from mctc.linter.mps.rules.missing_kernels import MISSING_KERNELS
from mctc.linter.mps.scopes import Kind
from mctc.linter.mps.tensors import CREATION, Tensors, device_of

DISPATCHED = {"roll", "scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce", "scatter_reduce_"}
SMALL = 1000  # elements: the guide's figure
VIEWS = {"t", "transpose", "permute", "swapaxes", "swapdims", "expand", "diagonal", "unfold"}
TRANSPOSED = {"T", "mT", "H", "mH"}
FILLS = {"bernoulli_", "exponential_", "normal_", "random_", "uniform_"}
SETUP_WORDS = ("init", "reset", "build", "setup")


def small_operations(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        name = code.called(call)
        operation = name.removeprefix("torch.") if name.startswith("torch.") else "" if name else method(call)
        if operation not in DISPATCHED:
            continue
        operand = call.args[0] if name and call.args else None if name else receiver(call)
        count = None if operand is None else _elements_on_device(code, operand)
        if count is not None and count < SMALL:
            yield Finding(call, f"`{operation}` of {count} elements costs more to launch than to do")


def _elements_on_device(code: Code, node: ast.AST) -> int | None:
    """How many elements a tensor has that is made with a literal shape on a device other than the CPU."""
    made = code.value(node)
    if not isinstance(made, ast.Call) or code.called(made) not in CREATION - {"torch.tensor", "torch.full"}:
        return None
    device = argument(made, "device")
    if device is None or device_of(code, device) == "cpu":
        return None
    sizes = made.args[0].elts if len(made.args) == 1 and isinstance(made.args[0], (ast.Tuple, ast.List)) else made.args
    numbers = [code.constant(size) for size in sizes]
    whole = [number for number in numbers if isinstance(number, int)]
    exact = code.called(made) in {f"torch.{each}" for each in ("zeros", "ones", "empty", "rand", "randn")}
    exact = exact or (code.called(made) in ("torch.arange", "torch.randperm") and len(numbers) == 1)
    return prod(whole) if exact and whole and len(whole) == len(numbers) else None


def time_loops(code: Code) -> Iterator[Finding]:
    for loop in code.all(ast.For):
        if not isinstance(loop.target, ast.Name) or not _counts_steps(code, loop.iter):
            continue
        for statement in loop.body:
            if isinstance(statement, ast.Assign) and _is_recurrence(code, statement, loop.target.id):
                yield Finding(loop, "a recurrence over time, one step of Python after another")
                break


def _counts_steps(code: Code, count: ast.expr) -> bool:
    """`range(n)` or `reversed(range(n))`, unless it goes in chunks: a loop over those is what the rule asks for."""
    if code.called(count) == "reversed" and isinstance(count, ast.Call) and count.args:
        count = count.args[0]
    names = [getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(count)]
    whole = not any(word in name.lower() for name in names for word in ("chunk", "block", "segment"))
    return code.called(count) == "range" and isinstance(count, ast.Call) and len(count.args) < 3 and whole


def _is_recurrence(code: Code, statement: ast.Assign, index: str) -> bool:
    """`h = a[:, t] * h + b[:, t]`: a state times something, and a slice of a tensor at the loop's index."""
    target, tensors = statement.targets[0], Tensors.of(code)
    if not isinstance(target, ast.Name) or not isinstance(statement.value, ast.BinOp):
        return False
    products = [node for node in ast.walk(statement.value) if _is_product(node)]
    factors = [factor for each in products for factor in (each.left, each.right)]
    slices = [
        node for node in ast.walk(statement.value) if isinstance(node, ast.Subscript) and _takes_step(node, index)
    ]
    kept = any(isinstance(factor, ast.Name) and factor.id == target.id for factor in factors)
    return kept and bool(slices) and not any(tensors.elsewhere(each) for each in slices) and _uses_torch(code)


def _is_product(node: ast.AST) -> TypeGuard[ast.BinOp]:
    return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.MatMult))


def _takes_step(subscript: ast.Subscript, index: str) -> bool:
    """Whether a subscript is like `[:, t]`, `[..., t]` or `[:, :, t]`: one step of an axis that is not the first."""
    parts = subscript.slice.elts if isinstance(subscript.slice, ast.Tuple) else []
    at = [place for place, part in enumerate(parts) if isinstance(part, ast.Name) and part.id == index]
    return bool(at) and at[0] > 0


def _uses_torch(code: Code) -> bool:
    found = code.scopes[code.tree].names.values()
    return any(
        each.kind is Kind.IMPORTED and each.imported.split(".")[0] == "torch" for kinds in found for each in kinds
    )


def strided_fills(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        if method(call) not in FILLS or code.called(call) or not _is_strided(receiver(call)):
            continue
        function = getattr(code.function(call), "name", "")
        if not any(word in function for word in SETUP_WORDS):  # parameters are filled on the CPU, before they are moved
            yield Finding(call, f"`{method(call)}` into a view that is not contiguous", tail=True)


def _is_strided(node: ast.AST) -> bool:
    """Whether an expression surely is a view with gaps or with its axes in another order."""
    if isinstance(node, ast.Call):
        return method(node) in VIEWS
    if isinstance(node, ast.Attribute):
        return node.attr in TRANSPOSED
    if not isinstance(node, ast.Subscript):
        return False
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    later = parts[1:] if parts and _is_whole(parts[0]) else []
    stepped = any(isinstance(part, ast.Slice) and part.step is not None for part in parts)
    return stepped or any(isinstance(part, ast.Slice) and not _is_whole(part) for part in later)


def _is_whole(part: ast.AST) -> bool:
    return isinstance(part, ast.Slice) and part.lower is None and part.upper is None and part.step is None


RULES = (
    *MISSING_KERNELS,
    CodeRule(
        code="MPS063",
        name="small-operation",
        summary="roll or scatter of a small tensor on the device",
        why="Below about 1000 elements the launch takes longer than the work.",
        source=f"{GUIDE} 2.3, row 'Small tensor ops are slow'.",
        hint="make the tensor on the CPU and move the result",
        fix=(
            "Make the tensor on the CPU, do it there and move the result; or fold it into a larger operation. A tensor"
            " that is on the device already stays there: `.cpu()` waits for the GPU, which costs more than a launch."
        ),
        bad="""
            import torch

            def order(device):
                return torch.roll(torch.arange(10, device=device), 1)
        """,
        good="""
            import torch

            def order(device):
                return torch.roll(torch.arange(10), 1).to(device)
        """,
        find=small_operations,
    ),
    CodeRule(
        code="MPS064",
        name="loop-over-time",
        summary="a recurrence computed by a Python loop over time",
        why=(
            "Each turn launches several kernels on a tiny slice, forward and backward. For a few hundred frames"
            " the launches take nearly all of the time."
        ),
        source=f"{GUIDE} 2.2, solution A: the Python loop is the major bottleneck.",
        hint="use one fused scan, such as mctc's `selective_scan`",
        fix=(
            "Use an operator that holds the whole recurrence: the selective_scan that `mctc build` writes beside"
            " a model, or a cumulative or matrix form over chunks."
        ),
        bad="""
            import torch

            def scan(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
                h = torch.zeros_like(b[:, 0])
                for t in range(a.shape[1]):
                    h = a[:, t] * h + b[:, t]
                return h
        """,
        good="""
            import torch
            from training.selective_scan import selective_scan

            def scan(x, delta, a, b, c):
                return selective_scan(x, delta, a, b, c)
        """,
        find=time_loops,
    ),
    CodeRule(
        code="MPS065",
        name="fill-of-strided-view",
        summary="a random fill of a view that is not contiguous",
        why=(
            "On macOS before 15, random fills of such views left them as they were, without an error. Newer"
            " versions of torch are mended; a script may be run by an older one."
        ),
        source="pytorch/pytorch pull request 165267 (2025-10), which mends issue 165257.",
        hint="fill a contiguous tensor and copy it into the view",
        fix=(
            "Write into a new tensor and copy it: view.copy_(torch.empty_like(view,"
            " memory_format=torch.contiguous_format).normal_())."
        ),
        bad="""
            import torch

            def noise(x: torch.Tensor) -> torch.Tensor:
                x.t().normal_()
                return x
        """,
        good="""
            import torch

            def noise(x: torch.Tensor) -> torch.Tensor:
                return x.normal_().t()
        """,
        find=strided_fills,
    ),
)
