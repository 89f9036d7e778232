"""MPS050 to MPS056: places where the program waits for the GPU."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code, method, receiver
from mctc.linter.mps.flow import LOOPS
from mctc.linter.mps.rule import GUIDE, Finding, Rule
from mctc.linter.mps.tensors import Tensors, is_move_to_cpu

CLOCKS = {"time.time", "time.perf_counter", "time.perf_counter_ns", "time.monotonic", "timeit.default_timer"}
WAITING = ("item", "cpu", "tolist", "numpy", "synchronize")
ROW = f"{GUIDE} 2.3, row 'Slow training loops'"


def items(code: Code) -> Iterator[Finding]:
    tensors = Tensors.of(code)
    for call in code.all(ast.Call):
        if method(call) != "item" or call.args or code.called(call) or tensors.elsewhere(receiver(call)):
            continue
        if code.step(call) is not None:
            yield Finding(call, "`.item()` at every training step waits for the GPU", tail=True, per_step=True)


def copies(code: Code) -> Iterator[Finding]:
    tensors = Tensors.of(code)
    for call in code.all(ast.Call):
        if not method(call) or code.called(call) or code.step(call) is None:
            continue
        owner = receiver(call)
        moves = is_move_to_cpu(code, call) and not tensors.elsewhere(owner)
        if moves or (method(call) == "tolist" and tensors.on_device(owner)):
            yield Finding(call, "a copy to the CPU at every training step", tail=True, per_step=True)


def prints(code: Code) -> Iterator[Finding]:
    tensors = Tensors.of(code)
    for call in code.all(ast.Call):
        if code.called(call) != "print" or code.step(call) is None:
            continue
        shown = [part for arg in call.args for part in _parts(arg)]
        if any(tensors.on_device(part) for part in shown):
            yield Finding(call, "printing a tensor at every step waits for the GPU", per_step=True)


def _parts(node: ast.expr) -> list[ast.expr]:
    """An argument of print, or the expressions inside an f-string."""
    if not isinstance(node, ast.JoinedStr):
        return [node]
    return [part.value for part in node.values if isinstance(part, ast.FormattedValue)]


def conditions(code: Code) -> Iterator[Finding]:
    tensors = Tensors.of(code)
    message = "Python decides on a tensor at every step, and waits for it"
    deciding = (*_tests(code, ast.If), *_tests(code, ast.IfExp), *_tests(code, ast.Assert))
    for test in deciding:
        parts = test.values if isinstance(test, ast.BoolOp) else [test]
        for part in parts:
            part = part.operand if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not) else part
            if tensors.on_device(part) and code.step(part) is not None:
                yield Finding(part, message, per_step=True)
    for call in code.all(ast.Call):
        reads = code.called(call) in ("bool", "float", "int") and len(call.args) == 1
        if reads and tensors.on_device(call.args[0]) and code.step(call) is not None:
            yield Finding(
                call, f"`{code.called(call)}(tensor)` at every training step waits for the GPU", per_step=True
            )


def _tests(code: Code, kind: type[ast.If] | type[ast.IfExp] | type[ast.Assert]) -> Iterator[ast.expr]:
    return (node.test for node in code.all(kind))


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


RULES = (
    Rule(
        code="MPS050",
        name="item-in-loop",
        summary="`.item()` at every training step",
        why=(
            "The GPU works behind the program. `.item()` stops the program until everything before it is done, so"
            " that the GPU idles while Python prepares the next step."
        ),
        source=f"{GUIDE} 2.3, row 'Slow training loops'.",
        hint="add up `loss.detach()` and read it once per epoch",
        fix=(
            "Keep sums as tensors on the device and read them once per epoch or log line: total += loss.detach()"
            " in the loop, total.item() behind it. Under a condition, such as `if step % 100 == 0:`, it is left"
            " alone."
        ),
        bad="""
            import torch

            def epoch(batches, model, optimizer):
                total = 0.0
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    total += loss.item()
                return total
        """,
        good="""
            import torch

            def epoch(batches, model, optimizer):
                total = torch.zeros(())
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    total = total + loss.detach()
                return total.item()
        """,
        find=items,
    ),
    Rule(
        code="MPS051",
        name="copy-in-loop",
        summary="a tensor copied to the CPU at every training step",
        why=("`.cpu()`, `.to('cpu')` and `.tolist()` wait for the GPU as `.item()` does, and copy on top of that."),
        source=f"{GUIDE} 2.3, row 'Slow training loops'.",
        hint="collect tensors on the device, copy them once at the end",
        fix=("Collect what is needed as tensors on the device and copy once: torch.stack(found).cpu() after the loop."),
        bad="""
            import torch

            def epoch(batches, model, optimizer):
                found = []
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    found.append(loss.detach().cpu())
                return found
        """,
        good="""
            import torch

            def epoch(batches, model, optimizer):
                found = []
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    found.append(loss.detach())
                return torch.stack(found).cpu()
        """,
        find=copies,
    ),
    Rule(
        code="MPS052",
        name="print-in-loop",
        summary="a tensor printed at every training step",
        why="To print a tensor its value is needed, so the program waits for the GPU.",
        source=f"{GUIDE} 2.3, row 'Slow training loops'.",
        hint="print every so many steps, or after the loop",
        fix="Print every hundredth step, or the mean after the epoch.",
        bad="""
            import torch

            def epoch(batches, model, optimizer):
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    print("loss", loss)
        """,
        good="""
            import torch

            def epoch(batches, model, optimizer):
                step = 0
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    step += 1
                    if step % 100 == 0:
                        print("loss", loss.item())
        """,
        find=prints,
    ),
    Rule(
        code="MPS053",
        name="condition-on-tensor",
        summary="a tensor that decides in Python at every training step",
        why=("`if`, `bool()`, `float()` and `int()` need the value of the tensor, so the program waits for the GPU."),
        source=f"{GUIDE} 2.3, row 'Slow training loops'.",
        hint="use torch.where or nan_to_num, or look once per so many steps",
        fix=(
            "Let the GPU decide: torch.where, torch.clamp, torch.nn.utils.clip_grad_norm_ and its"
            " error_if_nonfinite; or test once per log line."
        ),
        bad="""
            import torch

            def epoch(batches, model, optimizer):
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    if torch.isnan(loss):
                        raise RuntimeError("diverged")
        """,
        good="""
            import torch

            def epoch(batches, model, optimizer):
                last = None
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    last = loss.detach()
                if torch.isnan(last):
                    raise RuntimeError("diverged")
        """,
        find=conditions,
    ),
    Rule(
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
    Rule(
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
    Rule(
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
