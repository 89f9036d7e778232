"""MPS001 to MPS008: code that only runs where there is CUDA."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code, argument, method, receiver
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding
from mctc.linter.mps.rules.cuda_programs import CUDA_PROGRAMS
from mctc.linter.mps.tensors import device_of

# What the functions of torch.cuda do in a build of torch without CUDA, as tried with torch 2.13.
WITHOUT_EFFECT = {
    "empty_cache",
    "get_arch_list",
    "get_rng_state_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
}
RAISES = {
    "CUDAGraph",
    "Event",
    "FloatTensor",
    "HalfTensor",
    "LongTensor",
    "Stream",
    "current_device",
    "current_stream",
    "default_stream",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "init",
    "ipc_collect",
    "mem_get_info",
    "memory_summary",
    "nvtx.range_pop",
    "nvtx.range_push",
    "reset_peak_memory_stats",
    "set_device",
    "set_per_process_memory_fraction",
    "synchronize",
    "utilization",
}
PLACES = {  # functions that take a device, and its position
    "torch.device": 0,
    "torch.set_default_device": 0,
    "torch.load": 1,
}


def cuda_calls(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        others = {keyword.arg for keyword in call.keywords} - {"device", "non_blocking"}  # of another library's `cuda`
        if method(call) != "cuda" or others or code.guarded(call) or code.name(receiver(call)):
            continue
        yield Finding(call, "`.cuda()` fails on a Mac", tail=True)


def cuda_devices(code: Code) -> Iterator[Finding]:
    seen: set[ast.AST] = set()
    for call in code.all(ast.Call):
        literal = _device_literal(code, call)
        if literal is None or literal in seen or device_of(code, literal) != "cuda":
            continue
        compared = isinstance(code.parents.get(call), (ast.Compare, ast.arguments))  # a default can be overridden
        if not compared and not code.guarded(call) and not code.guarded(literal):
            seen.add(literal)
            yield Finding(literal, "the device is CUDA, whatever machine it is")


def _device_literal(code: Code, call: ast.Call) -> ast.AST | None:
    """The text that torch or a tensor takes for its device, followed to where it was assigned."""
    name = code.called(call)
    position = PLACES.get(name, 0 if method(call) == "to" else None)
    if not name.startswith("torch.") and (name or not method(call).startswith(("to", "new_"))):
        return None  # another function with such an argument may know better
    given = argument(call, "device", position) or argument(call, "map_location")
    value = None if given is None else code.value(given)
    return value if isinstance(value, (ast.Constant, ast.JoinedStr)) else None


def raising_calls(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        name = code.called(call)
        if name.startswith("torch.cuda.") and name[len("torch.cuda.") :] in RAISES and not code.guarded(call):
            yield Finding(call.func, f"`{name}` raises where there is no CUDA")


def calls_without_effect(code: Code) -> Iterator[Finding]:
    for call in code.all(ast.Call):
        name = code.called(call)
        if name.startswith("torch.cuda.") and name[len("torch.cuda.") :] in WITHOUT_EFFECT and not code.guarded(call):
            yield Finding(call.func, f"`{name}` does nothing on a Mac")


RULES = (
    CodeRule(
        code="MPS001",
        name="hard-coded-cuda-call",
        severity=Severity.ERROR,
        summary="`.cuda()` on a tensor or module",
        why=("On a Mac torch is built without CUDA, and `.cuda()` raises 'Torch not compiled with CUDA enabled'."),
        source=f"{GUIDE} 2.1: device-agnostic patterns in place of `.cuda()`; tried with torch 2.13.",
        hint="choose the device once and use `.to(device)`",
        fix=(
            "Choose the device once, at the start, and hand it to everything: `model.to(device)`. Code that"
            " stands under `if torch.cuda.is_available():` or the like is left alone."
        ),
        bad="""
            import torch
            model = torch.nn.Linear(8, 8).cuda()
        """,
        good="""
            import torch
            device = torch.device("mps" if torch.backends.mps.is_available() else "cpu")
            model = torch.nn.Linear(8, 8).to(device)
            if torch.cuda.is_available():
                model = model.cuda()
        """,
        find=cuda_calls,
    ),
    CodeRule(
        code="MPS002",
        name="hard-coded-cuda-device",
        severity=Severity.ERROR,
        summary="a device that is always CUDA",
        why=("`torch.device('cuda')` can be made anywhere, but the first tensor on it raises where there is no CUDA."),
        source=f"{GUIDE} 2.1: a device picker with MPS, CUDA and CPU in place of a fixed device.",
        hint="choose the device once, from what the machine has",
        fix=(
            "Choose the device from `torch.backends.mps.is_available()` and `torch.cuda.is_available()`, or take"
            " it as an argument. A default of a parameter or of a command line option is left alone, since a"
            " caller can change it."
        ),
        bad="""
            import torch
            x = torch.zeros(8, device="cuda")
        """,
        good="""
            import torch
            device = "cuda" if torch.cuda.is_available() else "mps"
            x = torch.zeros(8, device=device)
        """,
        find=cuda_devices,
    ),
    CodeRule(
        code="MPS003",
        name="cuda-only-call",
        severity=Severity.ERROR,
        summary="a call of torch.cuda that raises without CUDA",
        why=(
            "Most of torch.cuda raises at once in a build without CUDA: an AssertionError, or an AttributeError"
            " for a part of torch._C that is not there."
        ),
        source=f"{GUIDE} 2.1; which functions raise was tried with torch 2.13 without CUDA.",
        hint="call it under `if torch.cuda.is_available():`",
        fix=(
            "Put the call under `if torch.cuda.is_available():`, or use what works for every device:"
            " torch.mps.synchronize, torch.accelerator.synchronize, torch.manual_seed."
        ),
        bad="""
            import torch
            torch.cuda.synchronize()
        """,
        good="""
            import torch
            if torch.cuda.is_available():
                torch.cuda.synchronize()
        """,
        find=raising_calls,
    ),
    CodeRule(
        code="MPS004",
        name="cuda-call-without-effect",
        summary="a call of torch.cuda that silently does nothing without CUDA",
        why=(
            "These functions return nothing, or 0, in a build without CUDA: memory that is thought to be freed or"
            " measured is not."
        ),
        source=(
            f"{GUIDE} 2.3, row 'System-wide slowdown', and 4.1 (torch.mps.empty_cache); tried with torch 2.13"
            " without CUDA."
        ),
        hint="torch.mps has its own: empty_cache, current_allocated_memory",
        fix=(
            "Use torch.mps.empty_cache, torch.mps.current_allocated_memory and torch.mps.driver_allocated_memory"
            " on a Mac."
        ),
        bad="""
            import torch
            print(torch.cuda.max_memory_allocated())
        """,
        good="""
            import torch
            if torch.cuda.is_available():
                print(torch.cuda.max_memory_allocated())
            elif torch.backends.mps.is_available():
                print(torch.mps.current_allocated_memory())
        """,
        find=calls_without_effect,
    ),
    *CUDA_PROGRAMS,
)
