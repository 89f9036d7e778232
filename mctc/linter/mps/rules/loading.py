"""MPS070 to MPS072: how data comes to the GPU."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code, argument, method
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding

LOADERS = {"torch.utils.data.DataLoader", "torch.utils.data.dataloader.DataLoader"}
CORES = {"os.cpu_count", "multiprocessing.cpu_count", "torch.multiprocessing.cpu_count"}
MOST_WORKERS = 8  # the guide: 4 to 8


def loaders(code: Code) -> Iterator[ast.Call]:
    return (call for call in code.all(ast.Call) if code.called(call) in LOADERS)


def pinned(code: Code) -> Iterator[Finding]:
    message = "memory can't be pinned for MPS"
    for call in loaders(code):
        given = argument(call, "pin_memory")
        if given is not None and code.constant(given) is True and not code.guarded(call):
            yield Finding(given, message)
    for call in code.all(ast.Call):
        if method(call) != "pin_memory" or call.args or code.called(call) or code.guarded(call):
            continue
        around = list(code.ancestors(call))
        chosen = any(isinstance(each, (ast.If, ast.IfExp)) for each in around)  # by the caller, or for another device
        if not chosen and not any(getattr(each, "name", "") == "pin_memory" for each in around):
            yield Finding(call, message, tail=True)


def crowded(code: Code) -> Iterator[Finding]:
    for call in loaders(code):
        given = argument(call, "num_workers", 5)
        if given is None or code.guarded(call):
            continue
        count = code.constant(given)
        if isinstance(count, int) and count > MOST_WORKERS:
            yield Finding(given, f"{count} workers compete with the GPU for one memory")
        elif code.called(code.value(given)) in CORES:
            yield Finding(given, "a worker per core competes with the GPU for one memory")


def unpicklable(code: Code) -> Iterator[Finding]:
    for call in loaders(code):
        count = code.constant(argument(call, "num_workers", 5))
        if not isinstance(count, int) or count < 1 or argument(call, "multiprocessing_context") is not None:
            continue
        for name in ("collate_fn", "worker_init_fn"):
            given = argument(call, name)
            if given is not None and isinstance(code.value(given), ast.Lambda):
                yield Finding(given, "macOS can't send a lambda to the workers")


RULES = (
    CodeRule(
        code="MPS070",
        name="pinned-memory",
        summary="pinned memory",
        why=("CPU and GPU share one memory, so there is nothing to gain. DataLoader warns and goes on without it."),
        source=(
            f"{GUIDE} 2.1 (unified memory); torch/utils/data/dataloader.py of torch 2.13; pytorch/pytorch issue 86060."
        ),
        hint="write `pin_memory=device.type == 'cuda'`",
        fix="Pin memory for CUDA alone: pin_memory=device.type == 'cuda'.",
        bad="""
            from torch.utils.data import DataLoader

            def batches(data):
                return DataLoader(data, pin_memory=True)
        """,
        good="""
            from torch.utils.data import DataLoader

            def batches(data, device):
                return DataLoader(data, pin_memory=device.type == "cuda")
        """,
        find=pinned,
    ),
    CodeRule(
        code="MPS071",
        name="too-many-workers",
        summary="more than 8 workers of a data loader",
        why=(
            "Workers, GPU and system share the bandwidth of one memory, and each worker holds a copy of Python"
            " and torch."
        ),
        source=f"{GUIDE} 4.1, data loading: 4 to 8.",
        hint="use 4 to 8 workers",
        fix="Set num_workers to 4 to 8, or min(8, os.cpu_count()).",
        bad="""
            from torch.utils.data import DataLoader

            def batches(data):
                return DataLoader(data, num_workers=16)
        """,
        good="""
            from torch.utils.data import DataLoader

            def batches(data):
                return DataLoader(data, num_workers=4)
        """,
        find=crowded,
    ),
    CodeRule(
        code="MPS072",
        name="lambda-for-workers",
        severity=Severity.ERROR,
        summary="a lambda that goes to the workers of a data loader",
        why=(
            "Python starts processes on macOS by spawning, and what they are given is pickled. A lambda can't be:"
            ' the first batch raises "Can\'t pickle". On Linux, where processes are forked, the same script runs.'
        ),
        source="Python documentation of multiprocessing: spawn is the default on macOS from 3.8 on.",
        hint="name a function at the top of the module",
        fix="Write a function with a name at the top level of the module.",
        bad="""
            from torch.utils.data import DataLoader

            def batches(data):
                return DataLoader(data, num_workers=4, collate_fn=lambda rows: rows)
        """,
        good="""
            from torch.utils.data import DataLoader

            def rows_as_they_are(rows):
                return rows

            def batches(data):
                return DataLoader(data, num_workers=4, collate_fn=rows_as_they_are)
        """,
        find=unpicklable,
    ),
)
