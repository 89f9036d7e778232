"""MPS010 to MPS013: number formats that the GPU does not have, or not well enough to train in blindly."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import PurePath

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code, argument, method, receiver
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding
from mctc.linter.mps.tensors import CREATION, WRAPPERS, Tensors, device_of, is_move_to_cpu
from mctc.linter.mps.widths import Widths, escapes

HALVES = {"torch.float16", "torch.half", "torch.bfloat16"}
RELATIVE_TOLERANCE = 1e-4  # what the guide asks for
DEFAULTS = ("torch.set_default_dtype", "torch.set_default_tensor_type")


class Casts:
    """Where a file narrows tensors, and which it moves to a device."""

    def __init__(self, code: Code, widths: Widths) -> None:
        self.code, self.widths = code, widths
        self.narrowing = {code.function(call) for call in code.all(ast.Call) if self._narrows(call)}

    def keeps(self, made: ast.AST) -> bool:
        """Whether a new tensor surely keeps its type: no cast follows in its function."""
        return self.code.function(made) not in self.narrowing

    def _narrows(self, call: ast.Call) -> bool:
        """Whether a call casts to another type than float64, or takes plain numbers out of a tensor."""
        if method(call) in ("float", "half", "bfloat16", "type_as", "item", "tolist"):
            return True
        return method(call) in ("to", "type") and self.widths.casts(call)


def doubles(code: Code) -> Iterator[Finding]:
    """float64 that is asked for on a device, and what is float64 when it is sent there."""
    widths = Widths(code)
    casts, sent = Casts(code, widths), widths.sent()
    arrays = {each for each in sent if _is_array(widths, each)}  # MPS011 has these
    found = {each for call in code.all(ast.Call) if (each := _asked_for(code, widths, casts, call)) is not None}
    for place in (found | set(sent)) - arrays:
        if code.guarded(place) or code.knows_mps(place) or _is_about_doubles(code, place):
            continue
        move = sent.get(place)
        later = move is not None and getattr(move, "end_lineno", 0) != getattr(place, "lineno", 0)
        where = f"; line {move.end_lineno} sends this tensor there" if move is not None and later else ""
        yield Finding(place, f"MPS has no float64{where}", tail=method(place) in ("double", "cdouble"))


def _is_array(widths: Widths, origin: ast.AST) -> bool:
    return isinstance(origin, ast.expr) and widths.array(origin) is not None


def _asked_for(code: Code, widths: Widths, casts: Casts, call: ast.Call) -> ast.AST | None:
    """The cast or the type that makes a tensor of the device float64, or one that surely goes there."""
    tensors, name = Tensors.of(code), code.called(call)
    wide = next((each for each in _arguments(call) if widths.is_double(each)), None)
    if not name and method(call) in ("double", "cdouble") and not call.args:
        return None if tensors.elsewhere(receiver(call)) or code.loads_data(call) else call
    if not name and method(call) in ("to", "type") and wide is not None:
        on_cpu = device_of(code, argument(call, "device", 0)) == "cpu" or tensors.elsewhere(receiver(call))
        return None if on_cpu or code.loads_data(call) else wide
    if name in DEFAULTS:
        return wide
    if name in CREATION | WRAPPERS or _is_layer(name):
        return _wide_dtype(code, widths, casts, call)
    return _wide_result(code, tensors, widths, call, name)


def _is_layer(name: str) -> bool:
    return name.startswith("torch.nn.") and name.rpartition(".")[2][:1].isupper()


def _wide_result(code: Code, tensors: Tensors, widths: Widths, call: ast.Call, name: str) -> ast.AST | None:
    """The float64 that an operation is asked to compute in: `x.sum(dtype=torch.float64)`."""
    dtype = argument(call, "dtype")
    if dtype is None or not widths.is_double(dtype) or not code.name(code.value(dtype)).startswith("torch."):
        return None
    operand = receiver(call) if not name and method(call) else call.args[0] if call.args else None
    of_tensor = operand is not None and (name.startswith("torch.") or not name) and not tensors.elsewhere(operand)
    return dtype if of_tensor and device_of(code, argument(call, "device")) != "cpu" else None


def _wide_dtype(code: Code, widths: Widths, casts: Casts, call: ast.Call) -> ast.AST | None:
    """The float64 asked of a function that makes a tensor on a device, or in a module where nothing narrows it."""
    dtype, device = argument(call, "dtype"), argument(call, "device")
    if not widths.is_double(dtype) or device_of(code, device) == "cpu":
        return None
    if device is not None:
        return dtype
    owner = code.class_of(call)
    return dtype if owner is not None and code.is_module(owner) and casts.keeps(call) else None


def _is_about_doubles(code: Code, node: ast.AST) -> bool:
    """Whether a function, class or file says in its name that float64, or the CPU, is what it is for."""
    names = [getattr(above, "name", "").lower() for above in code.ancestors(node)]
    about = any(word in name for name in names for word in ("double", "float64", "fp64"))
    return about or any("cpu" in name.split("_") for name in (*names, PurePath(code.source.name).stem.lower()))


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def doubles_of_numpy(code: Code) -> Iterator[Finding]:
    widths = Widths(code)
    casts, sent = Casts(code, widths), widths.sent()
    for call in code.all(ast.Call):
        if code.called(call) not in WRAPPERS or not call.args or argument(call, "dtype", 1) is not None:
            continue
        origin = widths.array(call.args[0])
        if origin is None or code.guarded(call) or code.knows_mps(call):
            continue
        if origin in sent or (casts.keeps(call) and not code.loads_data(call) and escapes(code, call)):
            yield Finding(call.args[0], "numpy's float64 becomes a float64 tensor, which MPS refuses")


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
    CodeRule(
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
    CodeRule(
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
    CodeRule(
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
    CodeRule(
        code="MPS013",
        name="tight-tolerance",
        in_tests=True,
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
