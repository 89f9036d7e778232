"""MPS010 to MPS013: number formats that the GPU does not have, or not well enough to train in blindly."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.diagnostics.diagnostic import Severity
from mctc.lint.mps.code import Code, argument, method, receiver
from mctc.lint.mps.rule import GUIDE, Finding, Rule
from mctc.lint.mps.tensors import CREATION, WRAPPERS, Tensors, device_of, is_move_to_cpu

DOUBLES = {"torch.float64", "torch.double", "torch.complex128", "torch.cdouble"}
HALVES = {"torch.float16", "torch.half", "torch.bfloat16"}
NUMPY_DOUBLES = {  # numpy functions whose result is float64 unless a dtype is given
    f"numpy.{name}"
    for name in (
        *("bartlett", "blackman", "hamming", "hanning", "kaiser"),
        *("empty", "eye", "identity", "linspace", "logspace", "ones", "zeros"),
        *("random.normal", "random.rand", "random.randn", "random.random", "random.standard_normal", "random.uniform"),
    )
}
RELATIVE_TOLERANCE = 1e-4  # what the guide asks for


class Casts:
    """Where a file narrows tensors, and which it moves to a device."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.narrowing = {code.function(call) for call in code.all(ast.Call) if self._narrows(call)}
        self.moved = {code.value(receiver(call)) for call in code.all(ast.Call) if method(call) in ("to", "cuda")}

    def keeps(self, made: ast.Call) -> bool:
        """Whether a new tensor surely keeps its type: no cast follows in its function."""
        return self.code.function(made) not in self.narrowing

    def _narrows(self, call: ast.Call) -> bool:
        """Whether a call casts to another type than float64, or takes plain numbers out of a tensor."""
        if method(call) in ("float", "half", "bfloat16", "type", "type_as", "item", "tolist"):
            return True
        return method(call) == "to" and any(self._may_be_type(each) for each in _arguments(call))

    def _may_be_type(self, node: ast.AST) -> bool:
        """Whether an argument of `.to` may be a type other than float64, or a tensor that has one, and no device."""
        value = self.code.value(node)
        if isinstance(value, (ast.Constant, ast.JoinedStr)) or self.code.called(value) == "torch.device":
            return False
        text = getattr(node, "id", getattr(node, "attr", "")).lower()
        return not any(word in text for word in ("dev", "rank")) and self.code.name(value) not in DOUBLES


def doubles(code: Code) -> Iterator[Finding]:
    tensors, casts = Tensors(code), Casts(code)
    for call in code.all(ast.Call):
        name = code.called(call)
        wide = [each for each in _arguments(call) if code.name(code.value(each)) in DOUBLES]
        if not name and method(call) in ("double", "cdouble") and not call.args:
            place: ast.AST | None = None if tensors.elsewhere(receiver(call)) else call
        elif not name and method(call) in ("to", "type") and wide:
            on_cpu = device_of(code, argument(call, "device", 0)) == "cpu" or tensors.elsewhere(receiver(call))
            place = None if on_cpu else wide[0]
        elif name == "torch.set_default_dtype" and wide:
            place = wide[0]
        elif name in CREATION | WRAPPERS or (not name and method(call).startswith("new_")):
            place = _wide_dtype(code, casts, call)
        else:
            continue
        if place is not None and not (code.guarded(call) or code.knows_mps(call) or _is_about_doubles(code, call)):
            yield Finding(place, "MPS has no float64", tail=place is call)


def _wide_dtype(code: Code, casts: Casts, call: ast.Call) -> ast.AST | None:
    """The float64 asked of a function that makes a tensor, where the tensor is on a device, goes there as it is, or
    belongs to a module, and nothing narrows it."""
    dtype, device = argument(call, "dtype"), argument(call, "device")
    if dtype is None or code.name(code.value(dtype)) not in DOUBLES or device_of(code, device) == "cpu":
        return None
    if device is not None:
        return dtype
    owner = code.class_of(call)
    travels = call in casts.moved or (owner is not None and code.is_module(owner))
    return dtype if travels and casts.keeps(call) else None


def _is_about_doubles(code: Code, node: ast.AST) -> bool:
    """Whether a function or class says in its name that float64 is what it is for."""
    names = [getattr(above, "name", "").lower() for above in code.ancestors(node)]
    return any(word in name for name in names for word in ("double", "float64", "fp64"))


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def doubles_of_numpy(code: Code) -> Iterator[Finding]:
    casts = Casts(code)
    for call in code.all(ast.Call):
        if code.called(call) not in WRAPPERS or not call.args or code.guarded(call):
            continue
        if argument(call, "dtype", 1) is not None or not casts.keeps(call):
            continue
        array = code.value(call.args[0])
        if _is_numpy_double(code, array):
            yield Finding(call.args[0], "numpy's float64 becomes a float64 tensor, which MPS refuses")


def _is_numpy_double(code: Code, node: ast.AST) -> bool:
    node = code.value(node)
    if isinstance(node, ast.BinOp):
        return _is_numpy_double(code, node.left) or _is_numpy_double(code, node.right)
    if not isinstance(node, ast.Call) or argument(node, "dtype") is not None:
        return False
    name = code.called(node)
    if name in ("numpy.array", "numpy.asarray"):
        return bool(node.args) and len(node.args) == 1 and _has_fraction(node.args[0])
    if name in ("numpy.zeros", "numpy.ones", "numpy.empty") and len(node.args) > 1:
        return False  # the second argument is the dtype
    return name in NUMPY_DOUBLES


def _has_fraction(node: ast.AST) -> bool:
    return isinstance(node, (ast.List, ast.Tuple)) and any(
        _has_fraction(each) or (isinstance(each, ast.Constant) and isinstance(each.value, float)) for each in node.elts
    )


def sixteen_bits(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        name = code.called(call)
        if name in ("torch.autocast", "torch.amp.autocast"):
            on_mps = device_of(code, argument(call, "device_type", 0)) == "mps"
            dtype = argument(call, "dtype", 1)
            narrow = dtype is None or code.name(code.value(dtype)) in HALVES
            if on_mps and narrow and argument(call, "enabled", 2) is None:
                yield Finding(call, "16-bit autocast on MPS without a switch")
        elif name == "torch.set_default_dtype" and call.args and code.name(code.value(call.args[0])) in HALVES:
            yield Finding(call, "every new tensor has 16 bits, with no way back to float32")


def tight_tolerances(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        if code.called(call) not in ("torch.allclose", "torch.testing.assert_close", "torch.isclose"):
            continue
        given = argument(call, "rtol", 2 if code.called(call) != "torch.testing.assert_close" else None)
        tolerance = code.constant(given)
        tight = given is None or (isinstance(tolerance, float) and tolerance < RELATIVE_TOLERANCE)
        if tight and any(_comes_from_mps(code, arg) for arg in call.args[:2]):
            yield Finding(call.func, "MPS and CPU results differ by more than this tolerance")


def _comes_from_mps(code: Code, node: ast.AST) -> bool:
    """`f(x.to("mps")).cpu()` and the like: a result of MPS, brought back to be compared."""
    value = code.value(node)
    moved = [each for each in ast.walk(value) if isinstance(each, ast.Call) and is_move_to_cpu(code, each)]
    names = {each.id.lower() for each in ast.walk(value) if isinstance(each, ast.Name)}
    texts = {each.value for each in ast.walk(value) if isinstance(each, ast.Constant)}
    return bool(moved) and ("mps" in texts or any("mps" in name for name in names))


RULES = (
    Rule(
        code="MPS010",
        name="float64",
        severity=Severity.ERROR,
        summary="a float64 or complex128 tensor",
        why=(
            "Metal has no 64-bit floating point. A tensor of that type can't be moved to MPS or made there: torch"
            " raises 'Cannot convert a MPS Tensor to float64 dtype'."
        ),
        source=f"{GUIDE} 2.3, row 'Training divergence / NaNs'; pytorch/pytorch issues 79019 and 122602.",
        hint="use float32, or keep the tensor on the CPU by name",
        fix=(
            "Use torch.float32. Where the extra digits are needed, compute on the CPU and narrow the result"
            " before it is moved: `table.double()` on a tensor made with device='cpu', then `.float().to(device)`."
        ),
        bad="""
            import torch

            def total(x: torch.Tensor) -> torch.Tensor:
                return x.double().sum()
        """,
        good="""
            import torch

            def total(x: torch.Tensor) -> torch.Tensor:
                return x.float().sum()

            def exact(x: torch.Tensor) -> torch.Tensor:
                return x.cpu().double().sum()
        """,
        find=doubles,
    ),
    Rule(
        code="MPS011",
        name="float64-from-numpy",
        severity=Severity.ERROR,
        summary="a tensor from a numpy array that is float64 by default",
        why=(
            "numpy's zeros, ones, linspace, random and windows make float64 unless told otherwise, and a tensor"
            " takes over the type of its array. Moving it to MPS raises."
        ),
        source=f"{GUIDE} 2.3, row 'Training divergence / NaNs'; pytorch/pytorch issue 79019.",
        hint="give numpy a dtype, or add `.float()`",
        fix=(
            "Give the array a type (np.zeros(n, dtype=np.float32)), the tensor one (torch.tensor(a,"
            " dtype=torch.float32)), or cast it: torch.from_numpy(a).float()."
        ),
        bad="""
            import numpy as np
            import torch
            window = torch.from_numpy(np.hanning(400))
        """,
        good="""
            import numpy as np
            import torch
            window = torch.from_numpy(np.hanning(400)).float()
        """,
        find=doubles_of_numpy,
    ),
    Rule(
        code="MPS012",
        name="sixteen-bit-training",
        summary="16-bit training on MPS with no switch to float32",
        why=(
            "float32 is the best supported and most stable type on MPS. Where a loss turns into NaN, the first"
            " question is whether it does so in float32, and a fixed 16-bit type can't answer it."
        ),
        source=f"{GUIDE} 4.1 (precision).",
        hint="add `enabled=mixed`, off by default",
        fix=(
            "Take mixed precision from an option: torch.autocast('mps', dtype=torch.bfloat16, enabled=mixed)."
            " Start with it off."
        ),
        bad="""
            import torch
            with torch.autocast("mps", dtype=torch.bfloat16):
                pass
        """,
        good="""
            import torch

            def step(mixed: bool) -> None:
                with torch.autocast("mps", dtype=torch.bfloat16, enabled=mixed):
                    pass
        """,
        find=sixteen_bits,
    ),
    Rule(
        code="MPS013",
        name="tight-tolerance",
        summary="results of MPS compared as closely as results of one device",
        why=(
            "MPS adds and rounds in another order than the CPU or CUDA. The default relative tolerance of 1e-5"
            " (1.3e-6 for assert_close) fails on results that are right."
        ),
        source=f"{GUIDE} 2.3, row 'Training divergence / NaNs': rtol=1e-4.",
        hint="pass `rtol=1e-4`, or more for long sums",
        fix=(
            "Pass rtol=1e-4 (and an atol that fits the values) where a result of MPS is compared with one of"
            " another device."
        ),
        bad="""
            import torch

            def check(model, x, expected):
                assert torch.allclose(model(x.to("mps")).cpu(), expected)
        """,
        good="""
            import torch

            def check(model, x, expected):
                assert torch.allclose(model(x.to("mps")).cpu(), expected, rtol=1e-4)
        """,
        find=tight_tolerances,
    ),
)
