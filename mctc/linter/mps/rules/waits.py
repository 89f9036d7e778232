"""MPS050 to MPS056: places where the program waits for the GPU."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.linter.mps.code import Code, method, receiver
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding
from mctc.linter.mps.rules.explicit_waits import EXPLICIT_WAITS
from mctc.linter.mps.tensors import Tensors, is_move_to_cpu

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


RULES = (
    CodeRule(
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
    CodeRule(
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
    CodeRule(
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
    CodeRule(
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
    *EXPLICIT_WAITS,
)
