"""MPS009: a device that is chosen between CUDA and the CPU alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.linter.mps.code import CUDA_WORDS, Code, argument, method, says
from mctc.linter.mps.rule import GUIDE, CodeRule, Finding
from mctc.linter.mps.scopes import SCOPES
from mctc.linter.mps.tensors import device_of

MESSAGE = "on a Mac this chooses the CPU: MPS is not asked for"
AVAILABLE = {"torch.cuda.is_available", "torch.cuda.device_count"}
INSPECTING = {"is_cuda", "type", "device_type"}  # of a tensor or a device that is there already
CUDA, CPU = "cuda", "cpu"
OTHERS = {"xpu", "npu", "hpu", "xla", "mlu"}
LOADING = {"torch.load", "torch.hub.load_state_dict_from_url"}


def choices(code: Code) -> Iterator[Finding]:
    for place in (*_expressions(code), *_statements(code)):
        if not _is_about_mps(code, place) and not _only_loads(code, place):
            yield Finding(place, MESSAGE)


def _expressions(code: Code) -> Iterator[ast.expr]:
    """`"cuda" if x else "cpu"`, `x and "cuda" or "cpu"`, `["cpu", "cuda"][x]`."""
    for choice in code.all(ast.IfExp):
        if not isinstance(code.parents[choice], ast.IfExp) and _is_choice(code, choice.test, *_leaves(choice)):
            yield choice
    for either in code.all(ast.BoolOp):
        first = either.values[0]
        if isinstance(either.op, ast.Or) and len(either.values) == 2 and isinstance(first, ast.BoolOp):
            test, *taken = first.values
            if len(taken) == 1 and _is_choice(code, test, taken[0], either.values[1]):
                yield either
    for picked in code.all(ast.Subscript):
        among = picked.value.elts if isinstance(picked.value, (ast.List, ast.Tuple)) else ()
        among = picked.value.values if isinstance(picked.value, ast.Dict) else among
        if len(among) == 2 and _is_choice(code, picked.slice, *among):
            yield picked


def _leaves(choice: ast.IfExp) -> Iterator[ast.expr]:
    """What a chain of `x if ... else y if ... else z` chooses from, devices of other makers left out."""
    for part in (choice.body, choice.orelse):
        if isinstance(part, ast.IfExp):
            yield from _leaves(part)
        elif not (isinstance(part, ast.Constant) and part.value in OTHERS):
            yield part


def _is_choice(code: Code, test: ast.AST, *among: ast.AST) -> bool:
    kinds = {_kind(code, each) for each in among}
    if kinds == {0, -1}:  # device numbers, as pipelines of transformers take them
        return _asks_for_cuda(code, test)
    return kinds in ({CUDA, CPU}, {0, CPU}) and not _inspects(test)


def _kind(code: Code, node: ast.AST) -> str | int:
    """'cuda' or 'cpu' for what surely is such a device or a tensor type of it, the number of a device, or ''."""
    value = code.value(node)
    if isinstance(value, ast.Constant) and isinstance(value.value, int) and not isinstance(value.value, bool):
        return value.value
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub) and isinstance(value.operand, ast.Constant):
        return -1 if value.operand.value == 1 else ""
    name = code.name(value) or code.called(value)
    if name.endswith("Tensor") and name.startswith("torch."):
        return CUDA if name.startswith("torch.cuda.") else CPU
    if name == "torch.cuda.current_device":
        return CUDA
    kind = device_of(code, value)
    return CUDA if kind in (CUDA, "gpu") else CPU if kind == CPU else ""


def _asks_for_cuda(code: Code, test: ast.AST) -> bool:
    """Whether a test is, or holds, the question for CUDA, or a name that was assigned its answer."""
    parts = [part for node in ast.walk(test) for part in ast.walk(code.value(node))]
    return any(code.called(part) in AVAILABLE for part in parts)


def _inspects(test: ast.AST) -> bool:
    """Whether a test asks what a device is, and not whether there is one: no device is chosen then."""
    compared = any(
        isinstance(node, ast.Compare) and any(isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)) for op in node.ops)
        for node in ast.walk(test)
    )
    return compared or any(isinstance(node, ast.Attribute) and node.attr in INSPECTING for node in ast.walk(test))


def _statements(code: Code) -> Iterator[ast.expr]:
    """`if torch.cuda.is_available():` around a device, with the CPU as what else it can be."""
    for branch in code.all(ast.If):
        asks = _asks_for_cuda(code, branch.test)
        if not (asks or code.speaks_of(branch.test, CUDA_WORDS)) or _inspects(branch.test):
            continue
        if any(_is_choice_of(code, each) for each in _inner(branch)):
            continue
        for kind, other in ((CUDA, CPU), (CPU, CUDA)):
            if _takes(code, branch.body, kind) and _takes(code, _other_way(code, branch), other):
                yield branch.test
        if asks and not branch.orelse and not _is_negated(branch.test) and all(map(_moves, branch.body)):
            yield branch.test


def _inner(branch: ast.If) -> Iterator[ast.AST]:
    return (node for statement in (*branch.body, *branch.orelse) for node in ast.walk(statement))


def _is_choice_of(code: Code, node: ast.AST) -> bool:
    return isinstance(node, ast.IfExp) and _is_choice(code, node.test, *_leaves(node))


def _takes(code: Code, statements: list[ast.stmt], kind: str) -> bool:
    """Whether a block assigns or returns a device of a kind."""
    for statement in statements:
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Return)) and statement.value is not None:
            if _kind(code, statement.value) == kind:
                return True
            parts = statement.value.elts if isinstance(statement.value, ast.Tuple) else ()
            if any(_kind(code, part) == kind for part in parts):
                return True
    return False


def _other_way(code: Code, branch: ast.If) -> list[ast.stmt]:
    """What may give the device where a branch is not taken: its else, or what stands before it and right behind it."""
    if branch.orelse:
        return branch.orelse
    block = _block_of(code, branch)
    place = block.index(branch)
    after = block[place + 1 : place + 2] if code.leaves(branch.body[-1]) else []
    return [*block[:place], *after]


def _is_negated(test: ast.AST) -> bool:
    return any(isinstance(node, ast.Not) for node in ast.walk(test))


def _moves(statement: ast.stmt) -> bool:
    """`model.cuda()` or `model = model.cuda()`: without CUDA the model stays where it was made."""
    value = statement.value if isinstance(statement, (ast.Assign, ast.Expr)) else None
    moved = value.func.value if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) else None
    if not isinstance(value, ast.Call) or not isinstance(moved, (ast.Name, ast.Attribute)):
        return False
    if method(value) == "to":
        return len(value.args) == 1 and getattr(value.args[0], "value", "") in ("cuda", "cuda:0")
    return method(value) == "cuda" and getattr(moved, "id", "") != "torch"


def _block_of(code: Code, statement: ast.stmt) -> list[ast.stmt]:
    around = code.parents[statement]
    blocks = (getattr(around, name, None) for name in ("body", "orelse", "finalbody"))
    return next((block for block in blocks if isinstance(block, list) and statement in block), [statement])


def _is_about_mps(code: Code, place: ast.AST) -> bool:
    """Whether the function around a choice, or the module's own code, speaks of MPS or of any accelerator."""
    around = code.function(place)
    words = ("mps", "accelerator.current", "accelerator.is_available", "darwin")
    return any(says(text, words) for text in _texts(around))


def _texts(around: ast.AST) -> Iterator[str]:
    waiting = list(ast.iter_child_nodes(around))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Attribute):
            stem = node.value.attr if isinstance(node.value, ast.Attribute) else ""
            yield f"{stem}.{node.attr}"
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value.strip():
            yield node.value
        if not isinstance(node, SCOPES):
            waiting.extend(ast.iter_child_nodes(node))


def _only_loads(code: Code, place: ast.AST) -> bool:
    """Whether a choice says where a checkpoint is read to: what is read goes to the model's device later."""
    around = code.parents.get(place)
    if isinstance(around, ast.keyword):
        return around.arg == "map_location"
    return isinstance(around, ast.Call) and code.called(around) in LOADING and argument(around, "f", 0) is not place


RULES = (
    CodeRule(
        code="MPS009",
        name="cuda-or-cpu",
        summary="a device chosen between CUDA and the CPU alone",
        why=(
            "There is no CUDA on a Mac, so the choice falls on the CPU, without an error or a warning: training runs"
            " many times slower than the GPU that is there would allow."
        ),
        source=f"{GUIDE} 2.1: a device picker with MPS, CUDA and CPU; PyTorch documentation, 'MPS backend'.",
        hint='ask for "mps" before "cpu": torch.backends.mps.is_available()',
        fix=(
            'Add the third device: "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available()'
            ' else "cpu". From torch 2.6 on torch.accelerator.current_accelerator() answers for every kind. A function'
            " that speaks of MPS anywhere is left alone, and so is the map_location of a checkpoint."
        ),
        bad="""
            import torch
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        """,
        good="""
            import torch
            if torch.cuda.is_available():
                device = torch.device("cuda")
            elif torch.backends.mps.is_available():
                device = torch.device("mps")
            else:
                device = torch.device("cpu")
        """,
        find=choices,
    ),
)
