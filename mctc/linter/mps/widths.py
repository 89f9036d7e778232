"""Which expressions surely are float64 or complex128, as numpy arrays or as tensors, and what made them so."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.linter.mps.code import Code, argument, is_own, method, receiver
from mctc.linter.mps.scopes import Kind
from mctc.linter.mps.tensors import CREATION, NUMBERS, WRAPPERS, arguments_of_to, goes_to_device, is_device

DOUBLES = {
    *("torch.float64", "torch.double", "torch.complex128", "torch.cdouble", "torch.DoubleTensor"),
    *("numpy.float64", "numpy.double", "numpy.longdouble", "numpy.complex128", "numpy.float_", "numpy.cdouble"),
    *("float", "complex"),  # of Python: 64 bits a part, to numpy and to torch
}
DOUBLE_TEXTS = {"float64", "double", "f8", "<f8", "d", "complex128", "torch.DoubleTensor", "torch.cuda.DoubleTensor"}
TYPED_AT = {  # where numpy's functions take a dtype by position
    "numpy.array": 1,
    "numpy.asarray": 1,
    "numpy.empty": 1,
    "numpy.eye": 3,
    "numpy.full": 2,
    "numpy.identity": 1,
    "numpy.loadtxt": 1,
    "numpy.ones": 1,
    "numpy.zeros": 1,
}
DRAWS = {"normal", "standard_normal", "uniform", "random", "rand", "randn", "random_sample", "beta", "gamma"}
NUMPY_DOUBLES = {  # functions whose result is float64 unless a dtype is given
    *(f"numpy.{name}" for name in ("empty", "eye", "identity", "linspace", "logspace", "ones", "zeros")),
    *(f"numpy.{name}" for name in ("bartlett", "blackman", "hamming", "hanning", "kaiser", "geomspace", "loadtxt")),
    *(f"numpy.{name}" for name in ("genfromtxt", "float64", "double", "fft.fftfreq", "fft.rfftfreq")),
    *(
        f"numpy.random.{name}"
        for name in (
            "normal",
            "rand",
            "randn",
            "random",
            "random_sample",
            "standard_normal",
            "uniform",
            "beta",
            "gamma",
        )
    ),
    *("scipy.signal.get_window", "soundfile.read"),
}
NUMPY_DOUBLES |= {f"numpy.random.{name}" for name in DRAWS}
GENERATORS = {"numpy.random.default_rng", "numpy.random.RandomState", "numpy.random.Generator"}
KEEPING = {  # numpy functions whose result is as wide as what they get
    f"numpy.{name}"
    for name in (
        *("abs", "absolute", "append", "array", "asarray", "ascontiguousarray", "atleast_1d", "atleast_2d", "clip"),
        *("concatenate", "copy", "cumprod", "cumsum", "diff", "dot", "expand_dims", "flip", "hstack", "matmul"),
        *("maximum", "minimum", "ones_like", "outer", "pad", "power", "repeat", "reshape", "roll", "square", "squeeze"),
        *("stack", "sum", "tile", "transpose", "triu", "tril", "vstack", "zeros_like"),
    )
}
FLOATING = {  # numpy functions that make float64 of whole numbers, too
    f"numpy.{name}"
    for name in (
        *("arctan", "cos", "cosh", "deg2rad", "exp", "expm1", "log", "log10", "log1p", "log2", "mean", "sin", "sinc"),
        *("sinh", "sqrt", "std", "tan", "tanh", "true_divide", "var"),
    )
}
NARROWING = {
    *("argmax", "argmin", "argsort", "bfloat16", "bincount", "bool", "byte", "char", "cuda_half", "eq", "float"),
    *("ge", "gt", "half", "int", "isfinite", "isinf", "isnan", "le", "long", "lt", "ne", "nonzero", "short", "size"),
    *("tolist", "item", "backward", "type_as", "as_type", "view_as", "all", "any"),
}


class Widths:
    """The answers for one file. Each is the node that made an expression 64 bits wide, or None."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self._known: dict[tuple[ast.AST, bool], ast.AST | None] = {}

    def is_double(self, dtype: ast.AST | None) -> bool:
        """Whether an expression names such a type: `torch.float64`, an alias of it, `float`, 'float64'."""
        if dtype is None:
            return False
        value = self.code.value(dtype)
        if isinstance(value, ast.Call) and self.code.called(value) == "getattr" and len(value.args) > 1:
            return self.code.constant(value.args[1]) in DOUBLE_TEXTS
        if isinstance(value, ast.Call) and self.code.called(value) == "numpy.dtype" and value.args:
            return self.is_double(value.args[0])
        if isinstance(value, ast.Constant):
            return value.value in DOUBLE_TEXTS
        return self.code.name(value) in DOUBLES

    def array(self, node: ast.AST) -> ast.AST | None:
        """For a numpy array."""
        return self._answer(node, True)

    def tensor(self, node: ast.AST) -> ast.AST | None:
        """For a tensor, or for a module whose parameters are wide."""
        return self._answer(node, False)

    def _answer(self, node: ast.AST, numpy: bool) -> ast.AST | None:
        key = (node, numpy)
        if key not in self._known:
            self._known[key] = None  # for a name that is bound to itself
            self._known[key] = self._array(node) if numpy else self._tensor(node)
        return self._known[key]

    def _array(self, node: ast.AST) -> ast.AST | None:
        value = self.code.value(node)
        if isinstance(value, ast.BinOp):
            if isinstance(value.op, ast.Div) and self._is_whole(value.left) and self._is_plain(value.right):
                return value
            return self.array(value.left) or self.array(value.right)
        if isinstance(value, (ast.UnaryOp, ast.Subscript, ast.Starred)):
            return self.array(value.operand if isinstance(value, ast.UnaryOp) else value.value)
        if isinstance(value, ast.Attribute) and value.attr in ("T", "real", "imag"):
            return self.array(value.value)
        if isinstance(value, ast.Name):
            return self._unpacked(value)
        if not isinstance(value, ast.Call):
            return None
        name = self.code.called(value)
        return self._numpy_function(value, name) if name else self._numpy_method(value)

    def _unpacked(self, name: ast.Name) -> ast.AST | None:
        """`samples, rate = soundfile.read(path)`."""
        bindings = self.code.bindings(name)
        read = bindings[0].node if len(bindings) == 1 and bindings[0].kind is Kind.UNPACKED else None
        if not isinstance(read, ast.Call) or self.code.called(read) != "soundfile.read":
            return None
        targets = self.code.parents[read]
        target = targets.targets[0] if isinstance(targets, ast.Assign) else None
        first = target.elts[0] if isinstance(target, ast.Tuple) else None
        return self.array(read) if isinstance(first, ast.Name) and first.id == name.id else None

    def _numpy_function(self, call: ast.Call, name: str) -> ast.AST | None:
        if name.startswith(("torch.", ".")):
            return None
        if name not in NUMPY_DOUBLES | KEEPING | FLOATING | {"numpy.arange", "numpy.fromiter", "numpy.full"}:
            return None
        given = argument(call, "dtype", TYPED_AT.get(name))
        if given is not None:
            return call if self.is_double(given) else None
        if name in NUMPY_DOUBLES:
            return call
        if name == "numpy.full" and len(call.args) > 1:
            return call if isinstance(self.code.constant(call.args[1]), float) else None
        if name in ("numpy.array", "numpy.asarray") and call.args and self._has_fraction(call.args[0]):
            return call
        if name == "numpy.arange":
            return call if any(isinstance(self.code.constant(arg), float) for arg in call.args) else None
        if name in FLOATING and call.args and self._is_whole(call.args[0]):
            return call
        wide = (self.array(part) for arg in call.args for part in _parts(arg))
        return next((each for each in wide if each is not None), None)

    def _numpy_method(self, call: ast.Call) -> ast.AST | None:
        if not method(call):
            return None
        if method(call) == "astype":
            return call if self.is_double(argument(call, "dtype", 0)) else None
        owner = receiver(call)
        if method(call) in DRAWS and self.code.called(self.code.value(owner)) in GENERATORS:
            return call if argument(call, "dtype") is None else None
        return None if method(call) in NARROWING or argument(call, "dtype") else self.array(owner)

    def _has_fraction(self, node: ast.AST) -> bool:
        node = self.code.value(node)
        return isinstance(node, (ast.List, ast.Tuple)) and any(
            self._has_fraction(each) or isinstance(_number(each), float) for each in node.elts
        )

    def _is_whole(self, node: ast.AST) -> bool:
        """Whether an expression surely is an array of whole numbers."""
        value = self.code.value(node)
        if not isinstance(value, ast.Call):
            return isinstance(value, ast.BinOp) and (self._is_whole(value.left) or self._is_whole(value.right))
        if method(value) in ("reshape", "copy") and not self.code.called(value):
            return self._is_whole(receiver(value))
        whole = self.code.called(value) == "numpy.arange" and argument(value, "dtype") is None
        return whole and not any(isinstance(self.code.constant(arg), float) for arg in value.args)

    def _is_plain(self, node: ast.AST) -> bool:
        """Whether an operand is a number of Python's, or another array of whole numbers."""
        return isinstance(self.code.value(node), (ast.Constant, ast.Name, ast.Attribute)) or self._is_whole(node)

    def _tensor(self, node: ast.AST) -> ast.AST | None:
        value = self.code.value(node)
        if isinstance(value, ast.BinOp):
            return self.tensor(value.left) or self.tensor(value.right)
        if isinstance(value, (ast.UnaryOp, ast.Subscript)):
            return self.tensor(value.operand if isinstance(value, ast.UnaryOp) else value.value)
        if isinstance(value, ast.Attribute):
            return self.tensor(value.value) if value.attr in ("T", "mT", "H", "mH", "real", "imag", "data") else None
        if not isinstance(value, ast.Call):
            return None
        name = self.code.called(value)
        if name:
            return self._torch_function(value, name)
        return self._tensor_method(value) if method(value) else None

    def _torch_function(self, call: ast.Call, name: str) -> ast.AST | None:
        if name == "torch.DoubleTensor":
            return call
        if not name.startswith("torch."):
            return None
        dtype = argument(call, "dtype", 1 if name in WRAPPERS else None)
        if dtype is not None:
            return dtype if self.is_double(dtype) else None
        if name in WRAPPERS:
            return self.array(call.args[0]) if call.args else None
        if name in CREATION or name.rpartition(".")[2] in NARROWING or name.startswith("torch.utils."):
            return None
        return self.tensor(call.args[0]) if call.args else None

    def _tensor_method(self, call: ast.Call) -> ast.AST | None:
        owner, called = receiver(call), method(call)
        if called in ("double", "cdouble"):
            return call if not call.args else None
        if called in ("to", "type"):
            types = [each for each in arguments_of_to(call) if self._may_be_type(each)]
            return next((each for each in types if self.is_double(each)), None) if types else self.tensor(owner)
        dtype = argument(call, "dtype")
        if dtype is not None:
            return dtype if self.is_double(dtype) else None
        if called in NARROWING or called in NUMBERS or called.startswith("new_"):
            return None
        return self.tensor(owner)

    def _may_be_type(self, node: ast.AST) -> bool:
        """Whether an argument of `.to` may be a type, or a tensor that has one, and surely is no device."""
        if self.is_double(node):
            return True
        value = self.code.value(node)
        if isinstance(value, ast.Constant) and value.value in (True, False, None):
            return False
        return not is_device(self.code, node)

    def casts(self, call: ast.Call) -> bool:
        """Whether a call of `.to` or `.type` may cast to another type than these."""
        return any(self._may_be_type(each) and not self.is_double(each) for each in arguments_of_to(call))

    def sent(self) -> dict[ast.AST, ast.Call]:
        """What made a tensor wide, to the call that sends it to a device, or makes it a parameter of a module."""
        found: dict[ast.AST, ast.Call] = {}
        for call in self.code.all(ast.Call):
            origin = self._sent_by(call)
            if origin is not None:
                found.setdefault(origin, call)
        return found

    def _sent_by(self, call: ast.Call) -> ast.AST | None:
        name = self.code.called(call)
        if name in ("torch.nn.Parameter", "torch.nn.parameter.Parameter", "torch.nn.Buffer"):
            return self.tensor(call.args[0]) if call.args else None
        if name in WRAPPERS and goes_to_device(self.code, argument(call, "device")):
            return self.tensor(call)
        if name or not method(call):
            return None
        if method(call) == "register_buffer" and is_own_name(receiver(call)):
            given = argument(call, "tensor", 1)
            return None if given is None else self.tensor(given)
        if method(call) == "cuda":
            return self.tensor(receiver(call))
        if method(call) == "to" and any(goes_to_device(self.code, each) for each in arguments_of_to(call)):
            return self.tensor(call)
        return None


def escapes(code: Code, node: ast.AST, depth: int = 6) -> bool:
    """Whether a tensor leaves the statements that compute with it: returned, stored, or handed to another function.

    What only goes into other tensors' computation on the CPU, as an index or a bound, does not.
    """
    around = code.parents.get(node)
    if isinstance(around, ast.Attribute) and isinstance(code.parents.get(around), ast.Call):
        return escapes(code, code.parents[around], depth)
    if isinstance(around, (ast.BinOp, ast.UnaryOp, ast.IfExp, ast.List, ast.Tuple, ast.Dict, ast.Starred)):
        return escapes(code, around, depth)
    if isinstance(around, ast.Subscript):
        return around.value is node and escapes(code, around, depth)
    if isinstance(around, (ast.Return, ast.Yield, ast.Expr, ast.keyword, ast.comprehension, ast.ListComp)):
        return True
    if isinstance(around, ast.Call):
        called = code.called(around)
        return not called.startswith("torch.") or (node is around.args[0] and escapes(code, around, depth))
    if not isinstance(around, (ast.Assign, ast.AnnAssign)):
        return False
    targets = around.targets if isinstance(around, ast.Assign) else [around.target]
    names = {each.id for each in targets if isinstance(each, ast.Name)}
    if len(names) < len(targets) or code.function(around) is code.tree:
        return True  # an attribute, an element, or a name that other files can see
    function = code.function(around)
    uses = (each for each in ast.walk(function) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load))
    return depth > 0 and any(
        escapes(code, use, depth - 1) for use in uses if use.id in names and code.value(use) is around.value
    )


def is_own_name(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id == "self") or is_own(node)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    yield from node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]


def _number(node: ast.AST) -> object:
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    return node.value if isinstance(node, ast.Constant) else None
