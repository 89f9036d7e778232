"""MPS040 to MPS043: memory that the whole machine shares."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code, argument, method, receiver
from mctc.linter.mps.environment import settings
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding
from mctc.linter.mps.scopes import Kind
from mctc.linter.mps.tensors import Tensors

HIGH, LOW = "PYTORCH_MPS_HIGH_WATERMARK_RATIO", "PYTORCH_MPS_LOW_WATERMARK_RATIO"
LOW_DEFAULT = 1.4  # default_low_watermark_ratio in ATen/mps/MPSAllocator.h of torch 2.13


def high_below_low(code: Code) -> Iterator[Finding]:
    lows = [setting for setting in settings(code) if setting.name == LOW]
    low = min((_number(setting.value) or 0.0 for setting in lows), default=LOW_DEFAULT)
    for setting in settings(code):
        high = _number(setting.value) if setting.name == HIGH else None
        if high and high < low:
            yield Finding(setting.node, f"torch raises 'invalid low watermark ratio {low:g}'")


def no_limit(code: Code) -> Iterator[Finding]:
    message = "the limit that keeps the machine from swapping is off"
    for setting in settings(code):
        if setting.name == HIGH and _number(setting.value) == 0.0:
            yield Finding(setting.node, message)
    for call in code.all(ast.Call):
        name, fraction = code.called(call), code.constant(argument(call, "fraction", 0))
        if name == "torch.mps.set_per_process_memory_fraction" and fraction == 0.0:
            yield Finding(call, message)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def kept_graphs(code: Code) -> Iterator[Finding]:
    tensors = Tensors.of(code)
    for statement in code.all(ast.AugAssign):
        if _is_running_total(code, tensors, statement) and _keeps(code, tensors, statement, statement.value):
            yield Finding(statement, "the sum keeps the graph of every step alive")
    for call in code.all(ast.Call):
        stored = call.args[0] if method(call) == "append" and len(call.args) == 1 else None
        if stored is not None and _keeps(code, tensors, call, stored) and _outlives(code, call, receiver(call)):
            yield Finding(call, "the list keeps the graph of every step alive")


def _keeps(code: Code, tensors: Tensors, place: ast.AST, value: ast.AST) -> bool:
    """Whether `value` is the loss of this training step itself, with its graph."""
    loop = code.step(place)
    if loop is None or not isinstance(value, (ast.Name, ast.BinOp)):
        return False
    losses = [node for node in ast.walk(value) if isinstance(node, ast.Name) and tensors.is_differentiated(node)]
    called = any(isinstance(node, ast.Call) for node in ast.walk(value))
    return bool(losses) and not called


def _is_running_total(code: Code, tensors: Tensors, statement: ast.AugAssign) -> bool:
    """Whether a sum was begun before the loop. `loss += penalty`, differentiated in the step, is another thing."""
    target = statement.target
    if not isinstance(target, ast.Name):
        return isinstance(target, (ast.Attribute, ast.Subscript))
    return not tensors.is_differentiated(target) and _outlives(code, statement, target)


def _outlives(code: Code, place: ast.AST, owner: ast.expr) -> bool:
    """Whether a sum or list lives longer than the step at `place`: an attribute, or made outside of the loop."""
    loop = code.step(place)
    if loop is None or not isinstance(owner, ast.Name):
        return isinstance(owner, ast.Attribute)
    made = [each.node for each in code.scope(owner).lookup(owner.id) if each.kind is Kind.ASSIGNED]
    return bool(made) and not any(loop in code.ancestors(node) for node in made)


def emptied_in_loop(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        name = code.called(call)
        if name in ("torch.mps.empty_cache", "torch.accelerator.empty_cache") and code.step(call) is not None:
            yield Finding(call, "the cache is emptied at every training step")


RULES = (
    CodeRule(
        code="MPS040",
        name="watermarks-crossed",
        severity=Severity.ERROR,
        summary="a high watermark below the low one",
        why=(
            "The low watermark is 1.4 unless it is set, and the allocator refuses a high one below it: the first"
            " tensor on MPS raises 'invalid low watermark ratio 1.4'. A ratio of 0.7 or 0.8 needs both variables."
            " The ratio counts in recommended working-set sizes, not in RAM."
        ),
        source=(
            f"ATen/mps/MPSAllocator.h of torch 2.13; kohya-ss/sd-scripts issue 603. {GUIDE} 2.3 and 4.1 name the"
            " high one only."
        ),
        hint="set PYTORCH_MPS_LOW_WATERMARK_RATIO as well",
        fix=(
            "Set both before MPS is first used: PYTORCH_MPS_LOW_WATERMARK_RATIO=0.6 with"
            " PYTORCH_MPS_HIGH_WATERMARK_RATIO=0.8, or call torch.mps.set_per_process_memory_fraction."
        ),
        bad="""
            import os
            os.environ["PYTORCH_MPS_HIGH_WATERMARK_RATIO"] = "0.7"
        """,
        good="""
            import os
            os.environ["PYTORCH_MPS_HIGH_WATERMARK_RATIO"] = "0.8"
            os.environ["PYTORCH_MPS_LOW_WATERMARK_RATIO"] = "0.6"
        """,
        find=high_below_low,
    ),
    CodeRule(
        code="MPS041",
        name="no-memory-limit",
        summary="the memory limit of MPS switched off",
        why=(
            "GPU and system share one memory. Without a limit a training run that does not fit makes the machine"
            " swap to disk, many times slower and without an error."
        ),
        source=(f"{GUIDE} 2.3, row 'System-wide slowdown'; PyTorch documentation of the MPS environment variables."),
        hint="keep a limit, such as 0.8 with a low mark of 0.6",
        fix=(
            "Set PYTORCH_MPS_HIGH_WATERMARK_RATIO and PYTORCH_MPS_LOW_WATERMARK_RATIO to less than 1, make the"
            " batch smaller and accumulate gradients, or checkpoint activations."
        ),
        bad="""
            import os
            os.environ["PYTORCH_MPS_HIGH_WATERMARK_RATIO"] = "0.0"
        """,
        good="""
            import torch
            torch.mps.set_per_process_memory_fraction(0.8)
        """,
        find=no_limit,
    ),
    CodeRule(
        code="MPS042",
        name="graph-kept",
        summary="a loss that is added up or stored with its graph",
        why=(
            "The loss refers to its graph. A running sum or a list of losses holds what each step left of it, so"
            " that memory grows with every step of the epoch."
        ),
        source=f"PyTorch FAQ, 'My model reports out of memory'; {GUIDE} 2.3, row 'System-wide slowdown'.",
        hint="add `loss.detach()`, which stays on the device",
        fix=("Add loss.detach(): it needs no transfer, and `.item()` once per epoch or log line reads the sum."),
        bad="""
            def epoch(batches, model, optimizer):
                total = 0.0
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    total += loss
                return total
        """,
        good="""
            def epoch(batches, model, optimizer):
                total = 0.0
                for batch in batches:
                    loss = model(batch)
                    loss.backward()
                    optimizer.step()
                    total += loss.detach()
                return total
        """,
        find=kept_graphs,
    ),
    CodeRule(
        code="MPS043",
        name="empty-cache-in-loop",
        summary="the cache emptied at every step",
        why=("Emptying the cache gives blocks back to the system that the next step asks for again."),
        source=f"{GUIDE} 4.1, memory management: now and then, at a cost.",
        hint="call it once per epoch, or under a condition",
        fix=(
            "Call it once per epoch, before an evaluation with other shapes, or when memory runs low; not at"
            " every step."
        ),
        bad="""
            import torch

            def epoch(batches, model):
                for batch in batches:
                    model(batch).backward()
                    torch.mps.empty_cache()
        """,
        good="""
            import torch

            def epoch(batches, model):
                for batch in batches:
                    model(batch).backward()
                torch.mps.empty_cache()
        """,
        find=emptied_in_loop,
    ),
)
