"""What a training step calls, in the same file and in others, and where the tensors lie that it hands over."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.linter.mps.check import check_files, python_files

LOOP = """
import torch
{head}
def train(model, loader, optimizer, device):
    for batch in loader:
        x = batch.to(device)
        loss = {call}
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
"""


def checked(folder: Path, texts: dict[str, str]) -> list[Diagnostic]:
    """Files of one folder by their names, without .py."""
    for name, text in texts.items():
        file = folder / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return check_files(list(python_files([folder])), folders=[folder])


def places(found: list[Diagnostic]) -> list[tuple[str, int]]:
    return [(each.code, each.span.location.line) for each in found if each.span]


IN_ONE_FILE = {
    "a function": ("def step(m, x):\n    loss = m(x).sum()\n    print(loss.item())\n    return loss", "step(model, x)"),
    "a function behind a function": (
        "def inner(y):\n    return y.item()\n\ndef step(m, x):\n    inner(m(x).sum())\n    return m(x)",
        "step(model, x)",
    ),
    "a method of an object": (
        "class Meter:\n    def add(self, x):\n        self.n = x.item()\n        return x\n\nmeter = Meter()",
        "meter.add(model(x))",
    ),
    "a method of an object that was made in another function": (
        (
            "class Meter:\n    def add(self, x):\n        self.n = x.item()\n        return x\n\n"
            "def make():\n    return Meter()\n\nmeter = make()"
        ),
        "meter.add(model(x))",
    ),
    "the forward of a module": (
        (
            "class Net(torch.nn.Module):\n    def forward(self, x):\n        n = x.max().item()\n"
            "        return x / n\n\n"
            "net = Net()"
        ),
        "net(x)",
    ),
    "the forward of a module inside a module": (
        (
            "class Inner(torch.nn.Module):\n    def forward(self, x):\n        return x / x.max().item()\n\n"
            "class Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
            "        self.layers = torch.nn.ModuleList([Inner() for _ in range(3)])\n\n"
            "    def forward(self, x):\n        for layer in self.layers:\n            x = layer(x)\n"
            "        return x\n\n"
            "net = torch.nn.DataParallel(Net())"
        ),
        "net(x)",
    ),
    "a branch that training takes": (
        "def step(m, x, training=True):\n    if training:\n        print(m(x).item())\n    return m(x)",
        "step(model, x)",
    ),
    "the forward of a function with its own gradient": (
        (
            "class Scan(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n"
            "        return x / x.max().item()\n"
        ),
        "Scan.apply(x)",
    ),
}
NOT_FOUND = {
    "a function for batches that stay where the loader made them": (
        "def count(b):\n    return b.sum().item()",
        "count(batch) * model(x)",
    ),
    "a function that is called by the way": (
        "def show(x):\n    print(x.item())",
        "model(x)\n        if step % 100 == 0:\n            show(loss)",
    ),
    "a function that nothing calls": ("def show(x):\n    print(x.item())", "model(x)"),
    "a branch that training leaves out": (
        "def step(m, x, training=True):\n    if not training:\n        print(m(x).item())\n    return m(x)",
        "step(model, x)",
    ),
    "what stands behind the return of training": (
        "def step(m, x, training=True):\n    if training:\n        return m(x)\n    print(m(x).item())",
        "step(model, x)",
    ),
    "a number of Python's": (
        "def show(x):\n    return x.item()\n\nimport numpy as np",
        "show(np.ones(3).mean()) * model(x)",
    ),
}


@pytest.mark.parametrize(("head", "call"), IN_ONE_FILE.values(), ids=list(IN_ONE_FILE))
def test_what_waits_in_a_function_that_the_loop_calls_is_found(tmp_path: Path, head: str, call: str) -> None:
    text = LOOP.format(head=head, call=call)
    line = next(number for number, each in enumerate(text.splitlines(), 1) if ".item()" in each)
    (found,) = checked(tmp_path, {"train": text})
    assert places([found]) == [("MPS050", line)]
    assert "train.py:" in found.notes[0].message


@pytest.mark.parametrize(("head", "call"), NOT_FOUND.values(), ids=list(NOT_FOUND))
def test_what_no_step_waits_for_is_not(tmp_path: Path, head: str, call: str) -> None:
    assert checked(tmp_path, {"train": LOOP.format(head=head, call=call)}) == []


@pytest.mark.parametrize(
    ("head", "call", "file"),
    [
        ("from losses import compute", "compute(model, x)", "losses"),
        ("import losses", "losses.compute(model, x)", "losses"),
        ("import losses as l", "l.compute(model, x)", "losses"),
        ("from pkg import compute", "compute(model, x)", "pkg/losses"),
        ("from pkg.losses import compute as c", "c(model, x)", "pkg/losses"),
        ("import pkg.losses", "pkg.losses.compute(model, x)", "pkg/losses"),
        ("from .losses import compute", "compute(model, x)", "losses"),
    ],
)
def test_a_function_of_another_file_is_found(tmp_path: Path, head: str, call: str, file: str) -> None:
    helper = "def compute(m, x):\n    loss = m(x).sum()\n    log = loss.detach().cpu()\n    return loss\n"
    package = {"pkg/__init__": "from .losses import compute\n"} if file.startswith("pkg") else {}
    (found,) = checked(tmp_path, {"train": LOOP.format(head=head, call=call), file: helper, **package})
    assert places([found]) == [("MPS051", 3)]
    assert found.span is not None
    assert found.span.location.file.endswith("losses.py")
    assert found.notes[0].message == "`compute` runs in the training loop at train.py:5"


def test_methods_that_override_what_the_loop_calls_are_found(tmp_path: Path) -> None:
    base = (
        "class Base:\n    def fit(self, loader):\n        for batch in loader:\n"
        "            loss = self.loss(batch.to('mps'))\n"
        "            loss.backward()\n\n    def loss(self, x):\n        raise NotImplementedError\n"
    )
    own = (
        "import base\nclass Own(base.Base):\n    def loss(self, x):\n        print(x.sum().item())\n        return x\n"
    )
    assert places(checked(tmp_path, {"base": base, "own": own})) == [("MPS050", 4)]


def test_a_function_that_takes_the_step_itself_is_found(tmp_path: Path) -> None:
    text = (
        "def step(model, x, optimizer):\n    loss = model(x)\n    loss.backward()\n    optimizer.step()\n"
        "    return loss.item()\n\ndef train(model, loader, optimizer):\n    for x in loader:\n"
        "        step(model, x, optimizer)\n"
    )
    assert places(checked(tmp_path, {"train": text})) == [("MPS050", 5)]


def test_a_loop_that_calls_a_step_of_another_file_is_one_of_training(tmp_path: Path) -> None:
    step = "def step(model, x, optimizer):\n    loss = model(x)\n    loss.backward()\n    return loss.item()\n"
    loop = (
        "from steps import step\nfor x in loader:\n    total += step(model, x.to(device), optimizer)\n"
        "    print(model(x).cpu())\n"
    )
    assert places(checked(tmp_path, {"steps": step, "train": loop})) == [("MPS050", 4), ("MPS051", 4)]


@pytest.mark.parametrize("test", ["self.use_ctc", "args.weight > 0", "not use_mask", "kind == 'ctc'"])
def test_what_an_option_decides_about_is_every_step(tmp_path: Path, test: str) -> None:
    text = f"for x in loader:\n    loss = model(x)\n    loss.backward()\n    if {test}:\n        print(loss.item())\n"
    assert places(checked(tmp_path, {"train": text})) == [("MPS050", 5)]


def test_the_step_of_an_optimizer_is_one_of_every_step(tmp_path: Path) -> None:
    text = "import torch\nclass Own(torch.optim.Optimizer):\n    def step(self):\n        return self.norm().item()\n"
    assert places(checked(tmp_path, {"own": text})) == [("MPS050", 4)]


@pytest.mark.parametrize(
    ("head", "base", "method"),
    [
        ("import lightning as L", "L.LightningModule", "training_step(self, batch, i)"),
        ("import speechbrain as sb", "sb.Brain", "compute_objectives(self, predictions, batch, stage)"),
        ("from transformers import Trainer", "Trainer", "compute_loss(self, model, inputs)"),
    ],
)
def test_what_a_library_calls_at_every_step_is_found(tmp_path: Path, head: str, base: str, method: str) -> None:
    text = f"{head}\nclass Own({base}):\n    def {method}:\n        loss = self.f()\n        return loss.item()\n"
    assert [code for code, _ in places(checked(tmp_path, {"train": text}))] == ["MPS050"]


@pytest.mark.parametrize("name", ["test_train", "train_test", "tests/train", "sub/tests/unit/train", "conftest"])
def test_nothing_is_found_in_tests(tmp_path: Path, name: str) -> None:
    assert checked(tmp_path, {name: "model.cuda()\n"}) == []


def test_a_function_that_is_a_test_is_left_alone(tmp_path: Path) -> None:
    text = "def _test_scaling():\n    model.cuda()\n\ndef run():\n    model.cuda()\n"
    assert places(checked(tmp_path, {"scaling": text})) == [("MPS001", 5)]


def test_a_link_to_a_file_is_not_checked_twice(tmp_path: Path) -> None:
    (tmp_path / "a.py").symlink_to(tmp_path / "b.py")
    assert len(checked(tmp_path, {"b": "model.cuda()\n"})) == 1
