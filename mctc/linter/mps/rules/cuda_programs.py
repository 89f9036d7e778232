"""Programs and libraries for CUDA alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code, argument
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding
from mctc.linter.mps.scopes import FUNCTIONS
from mctc.linter.mps.tensors import device_of

EXTENSIONS = {
    "causal_conv1d_cuda",
    "flash_attn",
    "mamba_ssm.ops.selective_scan_interface",
    "mamba_ssm.ops.triton",
    "selective_scan_cuda",
    "triton",
}


def demands(code: Code) -> Iterator[Finding]:
    statements: tuple[ast.Assert | ast.If, ...] = (*code.all(ast.Assert), *code.all(ast.If))
    for statement in statements:
        if not any(code.called(each) == "torch.cuda.is_available" for each in ast.walk(statement.test)):
            continue
        refuses = isinstance(statement, ast.Assert) or _refuses(code, statement)
        always = not any(isinstance(each, ast.If) for each in code.ancestors(statement))
        if refuses and always and not _mentions_mps(statement.test) and not code.guarded(statement):
            yield Finding(statement.test, "the program stops where there is no CUDA")


def _refuses(code: Code, statement: ast.If) -> bool:
    """`if not torch.cuda.is_available(): raise ...`, or an exit, and no other branch."""
    test, last = statement.test, statement.body[-1]
    stops = isinstance(last, ast.Raise) or (isinstance(last, ast.Expr) and code.leaves(last))
    return stops and not statement.orelse and isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _mentions_mps(test: ast.AST) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == "mps" for node in ast.walk(test))


def cuda_mixed_precision(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        name = code.called(call)
        if name in ("torch.cuda.amp.autocast", "torch.cuda.amp.GradScaler"):
            wrong = not call.args  # the first argument of autocast is `enabled`
        elif name in ("torch.autocast", "torch.amp.autocast"):
            wrong = device_of(code, argument(call, "device_type", 0)) == "cuda"
        elif name == "torch.amp.GradScaler":
            given = argument(call, "device", 0)
            wrong = (given is None and not call.args) or device_of(code, given) == "cuda"
        else:
            continue
        told = argument(call, "enabled") is not None or any(keyword.arg is None for keyword in call.keywords)
        if wrong and not told and not code.guarded(call):
            yield Finding(call.func, f"`{name.rpartition('.')[2]}` for CUDA switches itself off on a Mac")


def nccl(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        if code.called(call) != "torch.distributed.init_process_group" or code.guarded(call):
            continue
        backend = argument(call, "backend", 0)
        if backend is not None and code.constant(backend) == "nccl":
            yield Finding(backend, "there is no NCCL on a Mac")


def extension_imports(code: Code) -> Iterator[Finding]:
    """The first import of each extension: those that follow fail for the same cause."""
    statements: list[ast.Import | ast.ImportFrom] = [*code.all(ast.Import), *code.all(ast.ImportFrom)]
    seen: set[str] = set()
    for statement in sorted(statements, key=lambda each: each.lineno):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            stem = statement.module or ""
            names = [] if statement.level else [stem, *(f"{stem}.{alias.name}" for alias in statement.names)]
        wanted = [(name, ext) for name in names for ext in EXTENSIONS if name == ext or name.startswith(f"{ext}.")]
        lazy = any(isinstance(each, (ast.If, *FUNCTIONS)) for each in code.ancestors(statement))
        if wanted and wanted[0][1] not in seen and not lazy and not code.guarded(statement):
            seen.add(wanted[0][1])
            yield Finding(statement, f"`{wanted[0][0]}` is built for CUDA alone")


CUDA_PROGRAMS = (
    CodeRule(
        code="MPS005",
        name="cuda-required",
        severity=Severity.ERROR,
        summary="a program that stops where there is no CUDA",
        why=("The check is false on every Mac, so the program never gets as far as the GPU that is there."),
        source=f"{GUIDE} 2.1: a device picker with MPS, CUDA and CPU.",
        hint="accept `torch.backends.mps.is_available()` as well",
        fix=(
            "Refuse only where there is neither: test torch.backends.mps.is_available() too, or"
            " torch.accelerator.is_available()."
        ),
        bad="""
            import torch
            assert torch.cuda.is_available()
        """,
        good="""
            import torch
            assert torch.cuda.is_available() or torch.backends.mps.is_available()
        """,
        find=demands,
    ),
    CodeRule(
        code="MPS006",
        name="cuda-mixed-precision",
        summary="autocast or a gradient scaler for CUDA",
        why=(
            "Without CUDA both switch themselves off with a warning, so training runs in float32 while the script"
            " says otherwise."
        ),
        source=f"{GUIDE} 4.1 (precision); tried with torch 2.13 without CUDA.",
        hint="pass `device.type`, and `enabled=` for what the device can",
        fix=(
            "Use torch.autocast(device.type, enabled=mixed) and torch.amp.GradScaler(device.type, enabled=mixed),"
            " and leave mixed precision off on MPS until a float32 run is stable."
        ),
        bad="""
            import torch
            scaler = torch.amp.GradScaler("cuda")
        """,
        good="""
            import torch
            mixed = torch.cuda.is_available()
            scaler = torch.amp.GradScaler("cuda", enabled=mixed)
        """,
        find=cuda_mixed_precision,
    ),
    CodeRule(
        code="MPS007",
        name="nccl-backend",
        severity=Severity.ERROR,
        summary="the NCCL backend of torch.distributed",
        why="NCCL is NVIDIA's library; torch for macOS is built without it and the call raises.",
        source="PyTorch documentation of torch.distributed, table of backends.",
        hint="use `gloo` where there is no CUDA",
        fix="Use 'gloo' where there is no CUDA, or start no process group at all: a Mac has one GPU.",
        bad="""
            import torch.distributed as dist
            dist.init_process_group("nccl")
        """,
        good="""
            import torch
            import torch.distributed as dist
            dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        """,
        find=nccl,
    ),
    CodeRule(
        code="MPS008",
        name="cuda-extension-import",
        severity=Severity.ERROR,
        summary="an import of a package that is built for CUDA alone",
        why=(
            "The selective scan of mamba_ssm, its convolution, Triton and FlashAttention are CUDA extensions: the"
            " import fails on a Mac before the model is built."
        ),
        source=f"{GUIDE} 2.2: the CUDA kernel behind selective_scan_interface.py.",
        hint="import it in a `try`, with a version for other devices",
        fix=(
            "Import it inside `try: ... except ImportError:` and use an implementation for every device"
            " otherwise, such as the selective_scan that `mctc build` writes beside a model."
        ),
        bad="""
            from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
        """,
        good="""
            try:
                from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
            except ImportError:
                from training.selective_scan import selective_scan as selective_scan_fn
        """,
        find=extension_imports,
    ),
)
