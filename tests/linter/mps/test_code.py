"""What a file tells: the names it uses, the guards its author wrote, and its training loops."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mctc.diagnostics.source import SourceFile
from mctc.linter.mps.calls import find_steps
from mctc.linter.mps.code import Code
from mctc.linter.mps.program import Program


def parsed(text: str) -> Code:
    file = Path("train.py")
    program = Program([file], {file: SourceFile("train.py", text)}.get)
    find_steps(program)
    code = program.code(file)
    assert code is not None
    return code


def last_call(code: Code) -> ast.Call:
    return max(code.all(ast.Call), key=lambda call: (call.lineno, call.col_offset))


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ntorch.nn.functional.nll_loss()",
        "import torch as th\nth.nn.functional.nll_loss()",
        "import torch.nn.functional as F\nF.nll_loss()",
        "from torch.nn import functional as F\nF.nll_loss()",
        "from torch import nn\nnn.functional.nll_loss()",
        "from torch.nn.functional import nll_loss as loss\nloss()",
        "import torch.nn\ntorch.nn.functional.nll_loss()",
        "try:\n    import torch\nexcept ImportError:\n    torch = None\ntorch.nn.functional.nll_loss()",
        "def f():\n    import torch\n    return torch.nn.functional.nll_loss()",
        "import torch\nclass A:\n    torch = 1\n    def f(self):\n        torch.nn.functional.nll_loss()",
    ],
)
def test_an_imported_name_is_followed(text: str) -> None:
    code = parsed(text)
    assert code.called(last_call(code)) == "torch.nn.functional.nll_loss"


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ndef f(torch):\n    torch.cuda()",
        "import torch\ntorch = fake()\ntorch.cuda()",
        "import torch\nfor torch in range(3):\n    torch.cuda()",
        "import torch\nwith fake() as torch:\n    torch.cuda()",
        "import torch\n[torch.cuda() for torch in others]",
        "import torch\nmatch other:\n    case [torch]:\n        torch.cuda()",
        "import torch\ndef f():\n    global torch\n    torch.cuda()",
        "import torch\n(lambda torch: torch.cuda())",
    ],
)
def test_a_name_that_is_bound_otherwise_is_not(text: str) -> None:
    code = parsed(text)
    assert code.called(last_call(code)) == ""


def test_a_name_of_a_package_beside_the_file_is_not_torch() -> None:
    code = parsed("from .torch import nn\nnn.Linear()")
    assert not code.called(last_call(code)).startswith("torch")


def test_a_value_is_followed_through_names_and_attributes() -> None:
    text = """
class A:
    def __init__(self):
        kind = 'cuda'
        self.kind = kind
    def f(self):
        g(self.kind)
"""
    code = parsed(text)
    assert code.constant(last_call(code).args[0]) == "cuda"


def test_a_value_that_changes_is_not_followed() -> None:
    code = parsed("kind = 'cuda'\nkind = pick()\ng(kind)\n")
    assert code.constant(last_call(code).args[0]) is None


def test_names_bound_to_one_another_end() -> None:
    code = parsed("a = b\nb = a\ng(a)\n")
    assert code.constant(last_call(code).args[0]) is None


GUARDS = [
    "if torch.cuda.is_available():\n    x.cuda()",
    "if device.type == 'cuda':\n    x.cuda()",
    "if args.use_gpu:\n    x.cuda()",
    "if not torch.backends.mps.is_available():\n    x.cuda()",
    "there = torch.cuda.is_available()\nif there:\n    x.cuda()",
    "y = x.cuda() if torch.cuda.is_available() else x",
    "torch.cuda.is_available() and x.cuda()",
    "try:\n    x.cuda()\nexcept AssertionError:\n    pass",
    "assert torch.cuda.is_available()\nx.cuda()",
    "if not torch.cuda.is_available():\n    raise SystemExit\nx.cuda()",
    "import sys\nif not torch.cuda.is_available():\n    sys.exit()\nx.cuda()",
    "def f(x):\n    if not torch.cuda.is_available():\n        return x\n    return x.cuda()",
    "def forward_cuda(x):\n    return x.cuda()",
    "class CudaBuffers:\n    def f(self, x):\n        return x.cuda()",
    "@requires_cuda\ndef f(x):\n    return x.cuda()",
    "while torch.cuda.is_available():\n    x.cuda()",
]
NO_GUARDS = [
    "x.cuda()",
    "if loud:\n    x.cuda()",
    "if torch.cuda.is_available():\n    pass\nx.cuda()",
    "try:\n    pass\nexcept ValueError:\n    x.cuda()",
    "try:\n    x.cuda()\nfinally:\n    pass",
    "x.cuda() and torch.cuda.is_available()",
    "if x.cuda():\n    pass",
    "if not torch.cuda.is_available():\n    warn()\nx.cuda()",
]


@pytest.mark.parametrize(("text", "guarded"), [(text, True) for text in GUARDS] + [(text, False) for text in NO_GUARDS])
def test_guards_are_seen(text: str, guarded: bool) -> None:
    code = parsed(f"import torch\n{text}\n")
    call = next(each for each in code.all(ast.Call) if ast.unparse(each) == "x.cuda()")
    assert code.guarded(call) is guarded


EVERY_STEP = [
    "for b in batches:\n    loss.backward()\n    here()",
    "while True:\n    loss.backward()\n    here()",
    "for e in range(3):\n    for b in batches:\n        scaler.scale(loss).backward()\n        here()",
    "for b in batches:\n    with autocast():\n        loss.backward()\n        here()",
    "for b in batches:\n    self.optimizer.step()\n    here()",
    "for b in batches:\n    accelerator.backward(loss)\n    here()",
    "for b in batches:\n    loss.backward()\n    if here():\n        pass",
    "for b in batches:\n    loss.backward()\n    for p in parts:\n        here()",
    "for b in batches:\n    loss.backward()\n    found = [here() for p in parts]",
    "import lightning as L\nclass M(L.LightningModule):\n    def training_step(self, batch):\n        here()",
]
NOT_EVERY_STEP = [
    "here()",
    "for b in batches:\n    here()",
    "for e in range(3):\n    for b in batches:\n        loss.backward()\n    here()",
    "for b in batches:\n    loss.backward()\n    if step % 100 == 0:\n        here()",
    "for b in batches:\n    loss.backward()\n    x = here() if last else 0",
    "for b in batches:\n    loss.backward()\n    last and here()",
    "for b in batches:\n    loss.backward()\nelse:\n    here()",
    "for b in here():\n    loss.backward()",
    "for b in batches:\n    loss.backward()\n    def later():\n        here()",
    "for b in batches:\n    def closure():\n        loss.backward()\n    here()",
    "for b in batches:\n    try:\n        loss.backward()\n    except ValueError:\n        here()",
    "class M:\n    def training_step(self, batch):\n        here()",
    "for b in batches:\n    environment.step(b)\n    here()",
]


@pytest.mark.parametrize(
    ("text", "each"), [(text, True) for text in EVERY_STEP] + [(text, False) for text in NOT_EVERY_STEP]
)
def test_what_runs_at_every_training_step_is_seen(text: str, each: bool) -> None:
    code = parsed(text + "\n")
    call = next(found for found in code.all(ast.Call) if ast.unparse(found) == "here()")
    assert (code.step(call) is not None) is each
