"""Which expressions are tensors, and where they lie as far as a file tells.

Two questions with a certain yes: `on_device` (what training computes) and `elsewhere` (the CPU, numpy, plain numbers).
What neither is sure of, a parameter for example, is left to the rule.
"""

from __future__ import annotations

import ast
from functools import cached_property

from mctc.lint.mps.code import Code, argument, method, receiver
from mctc.lint.mps.scopes import Kind

DEPTH = 12  # of names and calls that are followed
CREATION = {
    f"torch.{name}"
    for name in (
        *("arange", "empty", "eye", "full", "hamming_window", "hann_window", "linspace", "logspace", "ones"),
        *("rand", "randint", "randn", "randperm", "tensor", "zeros"),
    )
}
WRAPPERS = {"torch.as_tensor", "torch.from_numpy", "torch.tensor"}
NUMBERS = {"dim", "item", "numel", "size", "stride", "storage_offset", "tolist", "numpy", "element_size", "get_device"}
FACTS = {
    "shape",
    "dtype",
    "device",
    "ndim",
    "is_cuda",
    "is_mps",
    "requires_grad",
    "is_leaf",
    "grad_fn",
    "itemsize",
    "nbytes",
}
NO_TENSOR = {"torch.is_tensor", "torch.numel", "torch.save", "torch.is_floating_point"}
NUMERIC_LIBRARIES = {"numpy", "math", "random", "time", "statistics", "scipy", "sklearn", "pandas"}
NUMBER_BUILTINS = {"bool", "float", "int", "len", "range", "round", "str"}
TO_CPU = ("cpu", "numpy", "tolist", "item")


class Tensors:
    """The answers for one file."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def on_device(self, node: ast.AST, depth: int = DEPTH) -> bool:
        """Whether an expression is surely a tensor that lies where the model does: it comes from a loss that is
        differentiated, from a module of torch.nn that is called, or from another such tensor."""
        if depth == 0:
            return False
        if isinstance(node, ast.Name):
            values = self.code.values(node)
            return self.is_differentiated(node) or bool(
                values and all(self.on_device(each, depth - 1) for each in values)
            )
        if isinstance(node, ast.Call):
            return self._call_on_device(node, depth)
        if isinstance(node, ast.Attribute):
            return node.attr not in FACTS and self.on_device(node.value, depth - 1)
        parts: list[ast.expr] = []
        if isinstance(node, ast.BinOp):
            parts = [node.left, node.right]
        elif isinstance(node, (ast.UnaryOp, ast.Subscript)):
            parts = [node.operand if isinstance(node, ast.UnaryOp) else node.value]
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
                return False
        elif isinstance(node, ast.Compare) and not any(
            isinstance(op, (ast.Is, ast.IsNot, ast.In, ast.NotIn)) for op in node.ops
        ):
            parts = [node.left, *node.comparators]
        return any(self.on_device(part, depth - 1) for part in parts)

    def _call_on_device(self, call: ast.Call, depth: int) -> bool:
        name = self.code.called(call)
        if name.startswith("torch."):
            if name in CREATION:
                device = argument(call, "device")
                return device is not None and self._is_tensor_device(device, depth)
            return name not in NO_TENSOR and any(self.on_device(arg, depth - 1) for arg in call.args)
        if method(call):
            if method(call) in NUMBERS or method(call) in TO_CPU or is_move_to_cpu(self.code, call):
                return False
            if self.on_device(receiver(call), depth - 1):
                return True
        return self._is_module_call(call)

    def _is_tensor_device(self, device: ast.AST, depth: int) -> bool:
        return isinstance(device, ast.Attribute) and device.attr == "device" and self.on_device(device.value, depth - 1)

    def _is_module_call(self, call: ast.Call) -> bool:
        """`criterion(...)` after `criterion = nn.MSELoss()`, `model(...)` after `model = Model().to(device)`."""
        made = self.code.value(call.func)
        while isinstance(made, ast.Call) and method(made) in ("to", "cuda", "train", "eval"):
            if self.code.called(made):
                break
            made = self.code.value(receiver(made))
        if not isinstance(made, ast.Call) or made is call.func:
            return False
        name = self.code.called(made)
        if name.startswith("torch.nn.") and name.rpartition(".")[2][:1].isupper():
            return name not in ("torch.nn.Parameter", "torch.nn.Buffer")
        bindings = self.code.scope(made).lookup(made.func.id) if isinstance(made.func, ast.Name) else []
        classes = [each.node for each in bindings if isinstance(each.node, ast.ClassDef)]
        return len(bindings) == 1 and bool(classes) and self.code.is_module(classes[0])

    def is_differentiated(self, node: ast.Name) -> bool:
        """Whether `backward()` is called on the name somewhere in the same function."""
        function = self.code.function(node)
        return (function, node.id) in self._differentiated

    @cached_property
    def _differentiated(self) -> set[tuple[ast.AST, str]]:
        return {
            (self.code.function(call), owner.id)
            for call in self.code.all(ast.Call)
            if method(call) == "backward" and isinstance(owner := receiver(call), ast.Name)
        }

    def elsewhere(self, node: ast.AST, depth: int = DEPTH) -> bool:
        """Whether an expression surely is no tensor on the device: a number, something of numpy's, a tensor made
        without a device, something that a loop gets from a data loader, or what was moved to the CPU before."""
        if depth == 0:
            return False
        if isinstance(node, (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.JoinedStr)):
            return True
        if isinstance(node, ast.Name):
            return self._name_elsewhere(node, depth)
        if isinstance(node, ast.Call):
            return self._call_elsewhere(node, depth)
        if isinstance(node, ast.Attribute):
            return node.attr in FACTS or bool(self.code.name(node)) or self.elsewhere(node.value, depth - 1)
        if isinstance(node, ast.Subscript):
            return self.elsewhere(node.value, depth - 1)
        if isinstance(node, ast.UnaryOp):
            return self.elsewhere(node.operand, depth - 1)
        if isinstance(node, ast.BinOp):
            return self.elsewhere(node.left, depth - 1) and self.elsewhere(node.right, depth - 1)
        if isinstance(node, ast.Compare):
            return all(self.elsewhere(part, depth - 1) for part in (node.left, *node.comparators))
        return False

    def _name_elsewhere(self, node: ast.Name, depth: int) -> bool:
        bindings = self.code.scope(node).lookup(node.id)
        return bool(bindings) and all(
            binding.kind in (Kind.ITERATED, Kind.IMPORTED)
            or (binding.kind is Kind.ASSIGNED and self.elsewhere(binding.node, depth - 1))
            for binding in bindings
        )

    def _call_elsewhere(self, call: ast.Call, depth: int) -> bool:
        name = self.code.called(call)
        if name in CREATION or name in WRAPPERS:
            return argument(call, "device") is None
        if name.startswith(("torch.", ".")):
            return bool(call.args) and all(self.elsewhere(arg, depth - 1) for arg in call.args)
        if name:  # of another library, or a builtin
            return name.split(".")[0] in NUMERIC_LIBRARIES or name in NUMBER_BUILTINS
        if not method(call):
            return False
        if method(call) in NUMBERS or method(call) in TO_CPU or is_move_to_cpu(self.code, call):
            return True
        return method(call) not in ("to", "cuda") and self.elsewhere(receiver(call), depth - 1)


def is_move_to_cpu(code: Code, call: ast.Call) -> bool:
    """`.cpu()`, `.to("cpu")` or `.to(torch.device("cpu"))`."""
    if method(call) == "cpu":
        return True
    return method(call) == "to" and device_of(code, argument(call, "device", 0)) == "cpu"


def device_of(code: Code, node: ast.AST | None) -> str:
    """The kind of device that an expression surely names, 'cuda' for `torch.device("cuda:1")`; empty if none."""
    if node is None:
        return ""
    value = code.value(node)
    if isinstance(value, ast.Call) and code.called(value) == "torch.device":
        value = code.value(argument(value, "type", 0) or value)
    text = _leading_text(value)
    return text.split(":")[0] if text is not None else ""


def _leading_text(node: ast.AST) -> str | None:
    """The text of a literal; of an f-string as far as it is literal ('cuda:' of f"cuda:{rank}")."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
