"""MPS030: tensors that a module does not know of."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.linter.mps.code import Code, is_own, method, receiver
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding
from mctc.linter.mps.tensors import CREATION, NUMBERS, TO_CPU, WRAPPERS

SHAPING = {
    f"torch.{name}"
    for name in ("cat", "cos", "cumsum", "diag", "exp", "flip", "log", "outer", "sin", "sqrt", "stack", "tril", "triu")
}
SETUP = ("__init__", "setup", "build")


def unregistered(code: Code) -> Iterator[Finding]:
    for target, value in own_assignments(code):
        inside = code.class_of(target)
        function = code.function(target)
        if inside is None or not code.is_module(inside) or getattr(function, "name", "") not in SETUP:
            continue
        elements = value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]
        if any(_is_new_tensor(code, each) for each in elements) and not _is_looked_after(inside, target.attr):
            yield Finding(target, f"`self.{target.attr}` is a tensor that `model.to(device)` leaves behind")


def own_assignments(code: Code) -> Iterator[tuple[ast.Attribute, ast.expr]]:
    """Every `self.name = value`."""
    statements: tuple[ast.Assign | ast.AnnAssign, ...] = (*code.all(ast.Assign), *code.all(ast.AnnAssign))
    for statement in statements:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if is_own(target) and statement.value is not None:
                yield target, statement.value


def _is_new_tensor(code: Code, node: ast.AST, depth: int = 8) -> bool:
    """Whether an expression makes a tensor: by torch itself, or by a method or an operator on one just made."""
    node = code.value(node)
    if depth == 0:
        return False
    if isinstance(node, ast.Call):
        name = code.called(node)
        if name in SHAPING:
            return any(_is_new_tensor(code, arg, depth - 1) for arg in node.args)
        if name == "torch.tensor":  # one number: it mixes with tensors of any device
            return bool(node.args) and isinstance(code.value(node.args[0]), (ast.List, ast.Tuple, ast.ListComp))
        if name:
            return name in CREATION or name in WRAPPERS
        known = method(node) and method(node) not in (*NUMBERS, *TO_CPU)
        return bool(known) and _is_new_tensor(code, receiver(node), depth - 1)
    if isinstance(node, ast.BinOp):
        return _is_new_tensor(code, node.left, depth - 1) or _is_new_tensor(code, node.right, depth - 1)
    if isinstance(node, ast.Subscript):
        return _is_new_tensor(code, node.value, depth - 1)
    return isinstance(node, ast.UnaryOp) and _is_new_tensor(code, node.operand, depth - 1)


def _is_looked_after(inside: ast.ClassDef, attribute: str) -> bool:
    """Whether the class moves the attribute itself: it has its own `_apply` or `to`, or writes `self.name.to(...)`."""
    for node in ast.walk(inside):
        if isinstance(node, ast.FunctionDef) and node.name in ("_apply", "to"):
            return True
        if method(node) in ("to", "type_as", "cuda", "cpu", "tolist", "item"):
            assert isinstance(node, ast.Call)
            owner = receiver(node)
            if is_own(owner) and owner.attr == attribute:
                return True
    return False


RULES = (
    CodeRule(
        code="MPS030",
        name="unregistered-tensor",
        summary="a tensor as a plain attribute of a module",
        why=(
            "A module moves its parameters and buffers and nothing else. The tensor stays on the CPU after"
            " model.to(device), and the forward pass fails with tensors on different devices; it is missing from"
            " state_dict as well."
        ),
        source=f"{GUIDE} 2.1, last paragraph: register_buffer for masks and other tensors.",
        hint="use `self.register_buffer(name, tensor)` or nn.Parameter",
        fix=(
            "Register it: self.register_buffer('mask', mask), with persistent=False where a checkpoint should not"
            " hold it. nn.Parameter for what is trained."
        ),
        bad="""
            import torch
            from torch import nn

            class Causal(nn.Module):
                def __init__(self) -> None:
                    super().__init__()
                    self.mask = torch.tril(torch.ones(64, 64))
        """,
        good="""
            import torch
            from torch import nn

            class Causal(nn.Module):
                def __init__(self) -> None:
                    super().__init__()
                    self.register_buffer("mask", torch.tril(torch.ones(64, 64)))
                    self.scale = nn.Parameter(torch.ones(64))
        """,
        find=unregistered,
    ),
)
