"""Which expressions are tensors, and where they lie as far as a file tells.

Two questions with a certain yes: `on_device` (what training computes) and `elsewhere` (the CPU, numpy, plain numbers).
What neither is sure of, a parameter for example, is left to the rule.
"""

from __future__ import annotations

import ast
from functools import cached_property

from mctc.linter.mps.code import Code, argument, method, receiver, says
from mctc.linter.mps.scopes import Binding, Kind
from mctc.linter.mps.training import SETTINGS

CREATION = {
    f"torch.{name}"
    for name in (
        *("arange", "empty", "eye", "full", "hamming_window", "hann_window", "linspace", "logspace", "ones"),
        *("rand", "randint", "randn", "randperm", "tensor", "zeros"),
    )
}
WRAPPERS = {"torch.as_tensor", "torch.asarray", "torch.from_numpy", "torch.tensor"}
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
PARTS = {"T", "mT", "H", "mH", "real", "imag", "grad", "data", "values", "indices"}  # attributes that are tensors
OF_MODEL = {"parameters", "named_parameters", "buffers", "named_buffers", "state_dict", "values", "items"}
NO_TENSOR = {"torch.is_tensor", "torch.numel", "torch.save", "torch.is_floating_point"}
NUMERIC_LIBRARIES = {"numpy", "math", "random", "time", "statistics", "scipy", "sklearn", "pandas"}
NUMBER_BUILTINS = {"bool", "float", "int", "len", "range", "round", "str"}
DEVICES = {"cpu", "cuda", "mps", "xpu", "hip", "npu", "meta"}
TO_CPU = ("cpu", "numpy", "tolist", "item")


class Tensors:
    """The answers for one file."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self._on_device: dict[ast.AST, bool] = {}
        self._elsewhere: dict[ast.AST, bool] = {}

    @classmethod
    def of(cls, code: Code) -> Tensors:
        """The answers for a file, found once for all rules."""
        known = code.answers.get(cls)
        if not isinstance(known, cls):
            known = code.answers[cls] = cls(code)
        return known

    def on_device(self, node: ast.AST) -> bool:
        """Whether an expression is surely a tensor that lies where the model does: it comes from a loss that is
        differentiated, from a module that is called, from a move to a device, or from another such tensor."""
        if node not in self._on_device:
            self._on_device[node] = False  # for a name that is bound to itself
            self._on_device[node] = self._lies_on_device(node)
        return self._on_device[node]

    def _lies_on_device(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return self._name_on_device(node)
        if isinstance(node, ast.Call):
            return self._call_on_device(node)
        if isinstance(node, ast.Attribute):
            of_tensor = node.attr in PARTS or (node.attr not in FACTS and self._is_output(node.value))
            return of_tensor and self.on_device(node.value)
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
        return any(self.on_device(part) for part in parts)

    def _is_output(self, node: ast.AST) -> bool:
        """Whether an expression is what a module returned: its attributes may be tensors, `out.loss`."""
        value = self.code.value(node)
        return isinstance(value, ast.Call) and self._is_module_call(value)

    def _name_on_device(self, node: ast.Name) -> bool:
        bindings = self.code.bindings(node)
        if any(binding.kind is Kind.UPDATED and self.on_device(binding.node) for binding in bindings):
            return True
        if bindings and all(self._bound_on_device(binding) for binding in bindings):
            return True
        moved = any(binding.kind is Kind.ASSIGNED and self.elsewhere(binding.node) for binding in bindings)
        return self.is_differentiated(node) and not (moved and len(bindings) == 1)

    def _bound_on_device(self, binding: Binding) -> bool:
        if binding.kind is Kind.PARAMETER:
            return self._place_of_parameter(binding.node) is True
        if binding.kind is Kind.UNPACKED and isinstance(binding.node, ast.Call):
            return self._is_module_call(binding.node) or self.on_device(binding.node)
        return binding.kind in (Kind.ASSIGNED, Kind.UNPACKED, Kind.ITERATED) and self.on_device(binding.node)

    def _place_of_parameter(self, parameter: ast.AST) -> bool | None:
        """Whether callers hand over a tensor of the device (True) or surely none (False)."""
        step = self.code.step_of(self.code.function(parameter))
        return None if step is None else step.places.get(getattr(parameter, "arg", ""))

    def _call_on_device(self, call: ast.Call) -> bool:
        name = self.code.called(call)
        if name in CREATION or name in WRAPPERS:
            device = argument(call, "device")
            return device is not None and (self._is_tensor_device(device) or goes_to_device(self.code, device))
        if name.startswith("torch."):
            return name not in NO_TENSOR and any(self.on_device(arg) for arg in call.args)
        if name in ("enumerate", "zip", "reversed", "sum", "max", "min"):
            return any(self.on_device(arg) for arg in call.args)
        if method(call):
            if method(call) in NUMBERS or method(call) in TO_CPU or is_move_to_cpu(self.code, call):
                return False
            if method(call) == "to" and any(goes_to_device(self.code, arg) for arg in arguments_of_to(call)):
                return not self._is_module(receiver(call))
            if self.on_device(receiver(call)):
                return True
        return self._is_module_call(call)

    def _is_tensor_device(self, device: ast.AST) -> bool:
        return isinstance(device, ast.Attribute) and device.attr == "device" and self.on_device(device.value)

    def _is_module(self, node: ast.AST) -> bool:
        """Whether an expression surely is a module: `nn.Linear(8, 8)`, a class of the file that is one, or `model`."""
        made = self.code.value(node)
        if isinstance(made, ast.Name):
            return made.id.lower() in ("model", "net", "module")
        return isinstance(made, ast.Call) and self._makes_module(made)

    def _is_module_call(self, call: ast.Call) -> bool:
        """`criterion(...)` after `criterion = nn.MSELoss()`, `model(...)` after `model = Model().to(device)`."""
        if self._is_handed_over(call.func):
            return any(self.on_device(arg) for arg in (*call.args, *(keyword.value for keyword in call.keywords)))
        made = self.code.value(call.func)
        while isinstance(made, ast.Call) and method(made) in ("to", "cuda", "train", "eval"):
            if self.code.called(made):
                break
            made = self.code.value(receiver(made))
        return isinstance(made, ast.Call) and made is not call.func and self._makes_module(made)

    def _is_handed_over(self, func: ast.AST) -> bool:
        """Whether what is called came as an argument, or in an attribute that is assigned one: `model(x)`."""
        value = self.code.value(func)
        if isinstance(value, ast.Attribute) and getattr(value.value, "id", "") == "self":
            return value.attr in ("model", "net", "module", "criterion")
        bindings = self.code.bindings(value) if isinstance(value, ast.Name) else []
        return bool(bindings) and all(binding.kind is Kind.PARAMETER for binding in bindings)

    def _makes_module(self, made: ast.Call) -> bool:
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

    def elsewhere(self, node: ast.AST) -> bool:
        """Whether an expression surely is no tensor on the device: a number, something of numpy's, a tensor made
        without a device, something that a loop gets from a data loader, or what was moved to the CPU before."""
        if node not in self._elsewhere:
            self._elsewhere[node] = False
            self._elsewhere[node] = self._lies_elsewhere(node)
        return self._elsewhere[node]

    def _lies_elsewhere(self, node: ast.AST) -> bool:
        if isinstance(node, (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.JoinedStr)):
            return True
        if isinstance(node, ast.Name):
            return self._name_elsewhere(node)
        if isinstance(node, ast.Call):
            return self._call_elsewhere(node)
        if isinstance(node, ast.Attribute):
            known = node.attr in FACTS or node.attr == "dataset" or bool(self.code.name(node))
            known = known or getattr(node.value, "id", getattr(node.value, "attr", "")) in SETTINGS
            return known or self.elsewhere(node.value)
        if isinstance(node, ast.Subscript):
            return self.elsewhere(node.value)
        if isinstance(node, ast.UnaryOp):
            return self.elsewhere(node.operand)
        if isinstance(node, ast.BinOp):
            return self.elsewhere(node.left) and self.elsewhere(node.right)
        if isinstance(node, ast.Compare):
            return all(self.elsewhere(part) for part in (node.left, *node.comparators))
        return False

    def _name_elsewhere(self, node: ast.Name) -> bool:
        bindings = self.code.bindings(node)
        return bool(bindings) and all(self._bound_elsewhere(binding) for binding in bindings)

    def _bound_elsewhere(self, binding: Binding) -> bool:
        if binding.kind is Kind.ITERATED:
            return not self.on_device(binding.node) and (self._is_loader(binding.node) or self.elsewhere(binding.node))
        if binding.kind is Kind.PARAMETER:
            return self._place_of_parameter(binding.node) is False
        if binding.kind in (Kind.ASSIGNED, Kind.UNPACKED, Kind.UPDATED):
            return self.elsewhere(binding.node)
        return binding.kind is Kind.IMPORTED

    def _is_loader(self, iterated: ast.AST) -> bool:
        """Whether a loop over an expression is one over batches, or over a plain range."""
        around = self.code.parents.get(iterated)
        if method(iterated) in OF_MODEL:
            return False
        counted = self.code.called(iterated) in ("range", "enumerate", "zip")
        return self.code.is_step_loop(around) or counted or isinstance(around, ast.For)

    def _call_elsewhere(self, call: ast.Call) -> bool:
        name = self.code.called(call)
        if name in CREATION or name in WRAPPERS:
            device = argument(call, "device")
            return device is None or device_of(self.code, device) == "cpu"
        if "collate" in name + method(call) + getattr(call.func, "id", ""):
            return True  # a batch, before it is moved
        if name in ("next", "iter") and call.args:
            return self._is_loader(call) or says(ast.unparse(call.args[0]), ("loader", "iter", "_dl", "dataset"))
        if name == "copy.deepcopy" and call.args:
            return self.elsewhere(call.args[0]) or self._moves_later(call.args[0])
        if name.startswith(("torch.", ".")):
            return bool(call.args) and all(self.elsewhere(arg) for arg in call.args)
        if name:  # of another library or file, or a builtin
            known = name.split(".")[0] in NUMERIC_LIBRARIES or name in NUMBER_BUILTINS
            return known or ("." in name and self._takes_nothing_else(call))
        if isinstance(call.func, ast.Name):
            defined = [each.node for each in self.code.bindings(call.func)]
            plain = bool(defined) and all(isinstance(each, ast.FunctionDef) for each in defined)
            return plain and self._takes_nothing_else(call)
        if not method(call):
            return False
        if method(call) in NUMBERS or method(call) in TO_CPU or is_move_to_cpu(self.code, call):
            return True
        return method(call) not in ("to", "cuda") and self.elsewhere(receiver(call))

    def _takes_nothing_else(self, call: ast.Call) -> bool:
        """Whether all that a function gets lies elsewhere: so does what it makes of that."""
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        return bool(given) and all(self.elsewhere(each) for each in given)

    def _moves_later(self, node: ast.AST) -> bool:
        """Whether a name is moved to a device in the same function, and only behind this place."""
        if not isinstance(node, ast.Name):
            return False
        function = self.code.function(node)
        moves = [
            call.lineno
            for call in ast.walk(function)
            if isinstance(call, ast.Call) and method(call) in ("to", "cuda")
            if isinstance(owner := receiver(call), ast.Name) and owner.id == node.id
        ]
        return bool(moves) and min(moves) > node.lineno


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


def is_device(code: Code, node: ast.AST) -> bool:
    """Whether an expression surely is a device, by what it is or by how it is called."""
    value = code.value(node)
    if isinstance(value, ast.IfExp):
        return is_device(code, value.body)
    if isinstance(value, ast.JoinedStr) or code.called(value) == "torch.device":
        return True
    if isinstance(value, ast.Constant):
        text = str(value.value).split(":")[0]
        return (isinstance(value.value, int) and not isinstance(value.value, bool)) or text in DEVICES
    last = getattr(node, "id", getattr(node, "attr", method(node))).lower()
    return any(word in last for word in ("dev", "rank", "gpu", "cuda", "mps"))


def goes_to_device(code: Code, node: ast.AST | None) -> bool:
    """Whether an expression is a device that is not surely the CPU."""
    return node is not None and is_device(code, node) and device_of(code, node) != "cpu"


def arguments_of_to(call: ast.Call) -> list[ast.expr]:
    """The arguments of `.to`, but for its flags."""
    named = (each.value for each in call.keywords if each.arg not in ("non_blocking", "copy", "memory_format"))
    return [*call.args, *named]


def _leading_text(node: ast.AST) -> str | None:
    """The text of a literal; of one that is put together as far as it begins with a literal ('cuda:' of
    f"cuda:{rank}", "cuda:%d" % rank, "cuda:" + rank and "cuda:{}".format(rank))."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        node = node.left
    elif isinstance(node, ast.Call) and method(node) == "format":
        node = receiver(node)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
