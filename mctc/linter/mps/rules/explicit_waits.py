"""Waits that a program asks for, and those that it lacks."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code, method, receiver
from mctc.linter.mps.flow import LOOPS
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding
from mctc.linter.mps.tensors import Tensors

CLOCKS = {"time.time", "time.perf_counter", "time.perf_counter_ns", "time.monotonic", "timeit.default_timer"}
WAITING = ("item", "cpu", "tolist", "numpy", "synchronize")


def synchronised(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        name = code.called(call)
        if name not in ("torch.mps.synchronize", "torch.accelerator.synchronize", "torch.cuda.synchronize"):
            continue
        loop = code.step(call)
        if loop is not None and not _calls(code, loop, CLOCKS):  # with a clock it is a measurement
            yield Finding(call, "every training step waits for the GPU", per_step=True)


def clocks(code: Code) -> Iterator[Finding]:
    for difference in code.all(ast.BinOp):
        if not isinstance(difference.op, ast.Sub) or code.called(difference.left) not in CLOCKS:
            continue
        loop = next((each for each in code.ancestors(difference) if isinstance(each, LOOPS)), None)
        started = code.value(difference.right)
        if (
            loop is None
            or not code.is_step_loop(loop)
            or loop not in code.ancestors(started)
            or code.called(started) not in CLOCKS
        ):
            continue
        waits = any(method(node) in WAITING or method(node) == "to" for node in _after(code, loop, started, difference))
        if not waits and any(method(node) == "backward" for node in _after(code, loop, started, difference)):
            yield Finding(difference, "this measures how fast work is handed to the GPU")


def _after(code: Code, loop: ast.AST, start: ast.AST, end: ast.AST) -> Iterator[ast.AST]:
    """The calls of a loop between two of its places, in the order of the text."""
    for node in ast.walk(loop):
        if isinstance(node, ast.Call) and _place(start) <= _place(node) <= _place(end):
            yield node


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _calls(code: Code, inside: ast.AST, names: set[str]) -> bool:
    return any(code.called(node) in names for node in ast.walk(inside))


def direct_numpy(code: Code) -> Iterator[Finding]:
    tensors = Tensors.of(code)
    for call in code.all(ast.Call):
        reads = method(call) == "numpy" and not code.called(call) and tensors.on_device(receiver(call))
        if reads and not code.guarded(call):
            yield Finding(call, "numpy can't read a tensor on MPS", tail=True)


EXPLICIT_WAITS = (
    CodeRule(
        code="MPS054",
        name="synchronize-in-loop",
        summary="an explicit wait for the GPU at every training step",
        why="torch.mps.synchronize belongs around measurements. Operations run in order without it.",
        source=f"{GUIDE} 2.3, row 'Slow training loops', and the same section on benchmarks.",
        hint="remove it; keep it around measurements",
        fix="Remove it. In a loop that reads a clock it is left alone.",
        bad="""
            import torch

            def epoch(batches, model, optimizer):
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    torch.mps.synchronize()
        """,
        good="""
            import time
            import torch

            def epoch(batches, model, optimizer):
                start = time.perf_counter()
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                torch.mps.synchronize()
                return time.perf_counter() - start
        """,
        find=synchronised,
    ),
    CodeRule(
        code="MPS055",
        name="clock-without-synchronize",
        summary="a training step timed without waiting for the GPU",
        why=("Calls return when work is queued, not when it is done. The clock then shows the time that Python took."),
        source=(
            f"{GUIDE} 2.3, symptom 'Poor performance, especially in loops': synchronize before starting and"
            " stopping timers."
        ),
        hint="call torch.mps.synchronize() before each reading",
        fix=(
            "Call torch.mps.synchronize() (or torch.accelerator.synchronize() for any device) before the clock is read."
        ),
        bad="""
            import time
            import torch

            def epoch(batches, model, optimizer):
                for batch in batches:
                    start = time.perf_counter()
                    model(batch).backward()
                    optimizer.step()
                    print(time.perf_counter() - start)
        """,
        good="""
            import time
            import torch

            def epoch(batches, model, optimizer):
                for batch in batches:
                    start = time.perf_counter()
                    model(batch).backward()
                    optimizer.step()
                    torch.mps.synchronize()
                    print(time.perf_counter() - start)
        """,
        find=clocks,
    ),
    CodeRule(
        code="MPS056",
        name="numpy-without-cpu",
        severity=Severity.ERROR,
        summary="`.numpy()` on a tensor of the device",
        why=('numpy reads the memory of the CPU; torch raises "can\'t convert mps:0 device type tensor to numpy".'),
        source=f"PyTorch documentation of Tensor.numpy; {GUIDE} 2.1.",
        hint="write `.cpu().numpy()`, outside of the loop",
        fix="Write x.detach().cpu().numpy(), after the loop.",
        bad="""
            import torch

            def epoch(batches, model, optimizer):
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                return loss.detach().numpy()
        """,
        good="""
            import torch

            def epoch(batches, model, optimizer):
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                return loss.detach().cpu().numpy()
        """,
        find=direct_numpy,
    ),
)
