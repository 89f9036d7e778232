"""MPS068 and MPS069: complex numbers, of which MPS knows a part of what the CPU does."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code, argument, method, receiver
from mctc.linter.mps.rule import CodeRule, Finding
from mctc.linter.mps.tensors import Tensors

# What torch's own tests expect to fail for complex tensors on MPS, in torch 2.13: the names that are not among
# SUPPORTED_COMPLEX_OPS of torch/testing/_internal/common_mps.py. tests/linter/mps/test_tables.py holds this to it.
UNSUPPORTED = {
    *("addr", "cholesky", "cholesky_inverse", "cholesky_solve", "float_power", "logdet", "lu", "lu_solve", "qr"),
    *("renorm", "std", "std_mean", "triangular_solve", "var", "var_mean"),
    *("linalg.cholesky", "linalg.cond", "linalg.det", "linalg.eigh", "linalg.eigvalsh", "linalg.inv", "linalg.lstsq"),
    *("linalg.lu", "linalg.lu_factor", "linalg.lu_solve", "linalg.matrix_power", "linalg.matrix_rank", "linalg.qr"),
    *("linalg.slogdet", "linalg.solve", "linalg.solve_triangular", "linalg.svdvals", "linalg.tensorinv"),
    *("linalg.tensorsolve", "nn.functional.channel_shuffle", "nn.functional.conv3d"),
}
ALIASES = {
    "inverse": "linalg.inv",
    "det": "linalg.det",
    "slogdet": "linalg.slogdet",
    "matrix_power": "linalg.matrix_power",
}
MAKING = {"complex", "polar", "view_as_complex", "stft"}
SPECTRA = {"fft", "fft2", "fftn", "ifft", "ifft2", "ifftn", "rfft", "rfft2", "rfftn", "ihfft", "ihfft2", "ihfftn"}
TYPES = {f"torch.{name}" for name in ("complex64", "cfloat", "complex32", "chalf")}
REAL = {
    *("abs", "absolute", "angle", "item", "tolist", "numpy", "float", "double", "half", "size", "dim", "norm", "isnan"),
    *("isfinite", "isinf", "eq", "ne", "all", "any", "numel", "long", "int", "bool", "argmax", "real", "imag"),
    *("view_as_real", "irfft", "irfft2", "irfftn", "hfft", "istft", "is_complex", "cpu", "backward", "vector_norm"),
}


def without_kernel(code: Code) -> Iterator[Finding]:
    tensors = Tensors.of(code)
    for call in code.all(ast.Call):
        name = code.called(call)
        short = name.removeprefix("torch.") if name.startswith("torch.") else "" if name else method(call)
        short = ALIASES.get(short, short)
        operand = call.args[0] if name and call.args else receiver(call) if not name and method(call) else None
        if short not in UNSUPPORTED or operand is None or not _is_complex(code, operand):
            continue
        if not (tensors.elsewhere(operand) or code.guarded(call) or code.knows_mps(call) or code.loads_data(call)):
            message = f"`{short}` of a complex tensor fails on MPS in torch 2.13"
            yield Finding(call if not name else call.func, message, tail=not name)


def _is_complex(code: Code, node: ast.AST, depth: int = 12) -> bool:
    """Whether an expression surely is a complex tensor."""
    value = code.value(node)
    if depth == 0:
        return False
    if isinstance(value, ast.Constant):
        return isinstance(value.value, complex)
    if isinstance(value, ast.BinOp):
        return _is_complex(code, value.left, depth - 1) or _is_complex(code, value.right, depth - 1)
    if isinstance(value, (ast.UnaryOp, ast.Subscript)):
        return _is_complex(code, value.operand if isinstance(value, ast.UnaryOp) else value.value, depth - 1)
    if isinstance(value, ast.Attribute):
        return value.attr in ("T", "mT", "H", "mH") and _is_complex(code, value.value, depth - 1)
    if not isinstance(value, ast.Call):
        return False
    name = code.called(value)
    last = name.rpartition(".")[2] if name else method(value)
    if last in REAL or (name and not name.startswith("torch.")):
        return False
    if any(code.name(code.value(each)) in TYPES for each in (*value.args, *(key.value for key in value.keywords))):
        return True
    if name.startswith("torch.fft.") and last in SPECTRA:
        return True
    if last in MAKING and (name or last == "stft"):
        return last != "stft" or code.constant(argument(value, "return_complex")) is not False
    operand = (value.args[0] if value.args else None) if name else receiver(value) if method(value) else None
    return operand is not None and _is_complex(code, operand, depth - 1)


def conjugated(code: Code) -> Iterator[Finding]:
    tensors = Tensors.of(code)
    for call in code.all(ast.Call):
        if code.called(call) != "torch.einsum" or code.guarded(call) or code.loads_data(call):
            continue
        for given in call.args[1:]:
            value = code.value(given)
            conjugates = code.called(value) == "torch.conj" or (method(value) == "conj" and not code.called(value))
            if conjugates and not tensors.elsewhere(given):
                yield Finding(given, "einsum on MPS forgets that this is conjugated")


RULES = (
    CodeRule(
        code="MPS068",
        name="complex-without-kernel",
        severity=Severity.ERROR,
        summary="an operation that MPS has for real tensors and not for complex ones",
        why=(
            "Arithmetic, products, FFT and the singular value decomposition of complex64 work on MPS by torch 2.13."
            " Inverses, factorisations, determinants, eigenvalues and variances of complex tensors do not: they raise."
        ),
        source=(
            "torch/testing/_internal/common_mps.py of torch 2.13: the list of operations that torch's tests expect to"
            " work for complex tensors; pytorch/pytorch issues 77764 and 146691."
        ),
        hint="do this step on the CPU: `op(x.cpu()).to(x.device)`",
        fix=(
            "Move the operand by hand, once for the whole batch: torch.linalg.inv(x.cpu()).to(x.device). Or keep the"
            " real and the imaginary part apart: A + iB acts as the real matrix [[A, -B], [B, A]] of twice the size."
        ),
        bad="""
            import torch

            def whiten(x, y):
                spectrum = torch.fft.rfft(x)
                return torch.linalg.solve(spectrum.mT @ spectrum.conj(), y)
        """,
        good="""
            import torch

            def whiten(x, y):
                spectrum = torch.fft.rfft(x)
                power = spectrum.mT @ spectrum.conj()
                return torch.linalg.solve(power.cpu(), y.cpu()).to(x.device)
        """,
        find=without_kernel,
    ),
    CodeRule(
        code="MPS069",
        name="conjugate-in-einsum",
        summary="a conjugated operand of einsum",
        why=(
            "conj() sets a mark and computes nothing, and einsum on MPS was seen to drop the mark: the result is that"
            " of the tensor as it was, without an error."
        ),
        source="pytorch/pytorch issue 177474 (2026-03, open, labelled silently wrong).",
        hint="write `x.conj().resolve_conj()`, or multiply and sum",
        fix="Make the conjugation real before: x.conj().resolve_conj(), or x.conj().clone().",
        bad="""
            import torch

            def power(x):
                return torch.einsum("bft,bft->bf", x, x.conj())
        """,
        good="""
            import torch

            def power(x):
                return torch.einsum("bft,bft->bf", x, x.conj().resolve_conj())
        """,
        find=conjugated,
    ),
)
