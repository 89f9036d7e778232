"""Operations without an MPS kernel, and the fallback to the CPU."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.linter.mps.code import Code
from mctc.linter.mps.environment import settings
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding
from mctc.linter.mps.tensors import Tensors

FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"


# What has no kernel for MPS, by the names people call, and the operator that native_functions.yaml of torch 2.13 lists
# for CPU and CUDA, and not for MPS.
WITHOUT_KERNEL = {
    "torch.binomial": "binomial",
    "torch.fake_quantize_per_channel_affine": "fake_quantize_per_channel_affine_cachemask",
    "torch.fake_quantize_per_tensor_affine": "fake_quantize_per_tensor_affine_cachemask",
    "torch.geqrf": "geqrf",
    "torch.heaviside": "heaviside",
    "torch.linalg.eig": "linalg_eig",
    "torch.linalg.ldl_factor": "linalg_ldl_factor_ex",
    "torch.linalg.matrix_exp": "linalg_matrix_exp",
    "torch.matrix_exp": "linalg_matrix_exp",
    "torch.nn.AdaptiveMaxPool3d": "adaptive_max_pool3d",
    "torch.nn.CTCLoss": "_ctc_loss",
    "torch.nn.FractionalMaxPool2d": "fractional_max_pool2d",
    "torch.nn.MultiLabelMarginLoss": "multilabel_margin_loss_forward",
    "torch.nn.MultiMarginLoss": "multi_margin_loss",
    "torch.nn.functional.ctc_loss": "_ctc_loss",
    "torch.nn.functional.multi_margin_loss": "multi_margin_loss",
    "torch.nn.functional.multilabel_margin_loss": "multilabel_margin_loss_forward",
    "torch.ormqr": "ormqr",
    "torch.poisson": "poisson",
    "torch.segment_reduce": "segment_reduce",
    "torch.take": "take",
}


def missing_kernels(code: Code) -> Iterator[Finding]:
    tensors = Tensors.of(code)
    for call in code.all(ast.Call):
        name = code.called(call)
        on_cpu = bool(call.args) and tensors.elsewhere(call.args[0])
        if name in WITHOUT_KERNEL and not on_cpu and not code.guarded(call) and not code.knows_mps(call):
            yield Finding(call.func, f"`{name.removeprefix('torch.')}` has no MPS kernel in torch 2.13")


def fallback_on(code: Code) -> Iterator[Finding]:
    for setting in settings(code):
        if setting.name == FALLBACK and setting.value not in (None, "", "0"):
            yield Finding(setting.node, "the CPU silently takes over what MPS can't do")


def fallback_too_late(code: Code) -> Iterator[Finding]:
    imports = [
        statement
        for statement in code.tree.body
        if (isinstance(statement, ast.Import) and any(each.name.split(".")[0] == "torch" for each in statement.names))
        or (
            isinstance(statement, ast.ImportFrom)
            and not statement.level
            and (statement.module or "").split(".")[0] == "torch"
        )
    ]
    first = min((statement.lineno for statement in imports), default=None)
    for setting in settings(code):
        if first is not None and setting.name == FALLBACK and getattr(setting.node, "lineno", 0) > first:
            yield Finding(setting.node, "torch has read this variable already, when it was imported")


MISSING_KERNELS = (
    CodeRule(
        code="MPS060",
        name="missing-kernel",
        summary="an operation without an MPS kernel",
        why=(
            "torch raises NotImplementedError for it on MPS, or sends it to the CPU where the fallback flag is"
            " set. CTC is there from torch 2.14 on."
        ),
        source=(
            f"{GUIDE} 2.3, row 'NotImplementedError'; native_functions.yaml of torch 2.13; pytorch/pytorch issue"
            " 141287 and pull request 188187 (CTC)."
        ),
        hint="move its input with `.cpu()` by hand, or use another form",
        fix=(
            "Compute it on the CPU in sight (`F.ctc_loss(x.cpu(), ...)`), use another formulation, or a newer"
            " torch. The losses that `mctc build` writes beside a model have an implementation for every device."
        ),
        bad="""
            import torch.nn.functional as F

            def loss(x, y, n, m):
                return F.ctc_loss(x, y, n, m)
        """,
        good="""
            import torch.nn.functional as F

            def loss(x, y, n, m):
                return F.ctc_loss(x.cpu(), y, n, m)
        """,
        find=missing_kernels,
    ),
    CodeRule(
        code="MPS061",
        name="fallback-left-on",
        summary="PYTORCH_ENABLE_MPS_FALLBACK set in the program",
        why=(
            "With the flag an operation that MPS lacks copies its inputs to the CPU and its result back, with one"
            " warning per process: a slow step that nothing points at any more."
        ),
        source=f"{GUIDE} 2.3, row 'NotImplementedError': for debugging; off in production.",
        hint="set it in the shell while debugging, and not here",
        fix="Remove the line. While debugging: PYTORCH_ENABLE_MPS_FALLBACK=1 python train.py.",
        bad="""
            import os
            os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] = "1"
        """,
        good="""
            import os
            os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] = "0"
        """,
        find=fallback_on,
    ),
    CodeRule(
        code="MPS062",
        name="fallback-after-import",
        summary="PYTORCH_ENABLE_MPS_FALLBACK set after torch was imported",
        why=(
            "torch reads the variable once, when its library registers the operators of MPS. Set later it has no"
            " effect."
        ),
        source="aten/src/ATen/mps/MPSFallback.mm of PyTorch; invoke-ai/InvokeAI pull request 2508.",
        hint="set it in the shell, or above `import torch`",
        fix=(
            "Set it in the shell that starts Python. Inside a program it must stand above the first import of"
            " torch, that of other libraries included."
        ),
        bad="""
            import os
            import torch
            os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] = "0"
        """,
        good="""
            import os
            os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] = "0"
            import torch
        """,
        find=fallback_too_late,
    ),
)
