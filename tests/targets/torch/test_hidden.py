"""A module drawn to what another gave, whatever the loss: gradients by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mctc.ir.types import Role

torch = pytest.importorskip("torch")

from mctc.targets.torch.hidden import Hidden  # noqa: E402 — needs torch


class Model(torch.nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encoder, self.head = torch.nn.Linear(5, 4), torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.head(self.encoder(x)), classes, reduction="sum")


def function(*roles: Role) -> Any:
    return SimpleNamespace(results=[("y", SimpleNamespace(type=SimpleNamespace(roles=roles)))])


WHOLE: Any = SimpleNamespace(
    functions={"encoder": function(Role.BATCH, Role.CHANNEL), "head": function(Role.BATCH, Role.VOCABULARY)}
)


def test_cross_entropy_is_drawn_by_the_distance_of_the_distributions_and_of_hidden_results() -> None:
    x, classes = torch.randn(7, 5), torch.arange(7) % 3
    teacher, student = Model(1), Model(2)
    others, own = Hidden(teacher, WHOLE), Hidden(student, WHOLE)
    with others.cut():
        loss = teacher(x, classes)
    given = others.taken(loss)
    with own:
        loss = student(x, classes)
    own.drawn(loss, given, labels=7).backward()
    found = [each.grad.clone() for each in student.parameters()]

    student.zero_grad()
    hidden, wanted = student.encoder(x), teacher.encoder(x).detach()
    apart = (hidden - wanted).square().sum() / wanted.square().sum()
    target = teacher.head(wanted).softmax(1).detach()
    divergence = torch.nn.functional.kl_div(student.head(hidden).log_softmax(1), target, reduction="sum") / 7
    (apart + divergence).backward()
    for each, parameter in zip(found, student.parameters()):
        torch.testing.assert_close(each, parameter.grad)


def test_outside_of_the_block_nothing_is_kept_or_changed() -> None:
    model = Model(3)
    hidden = Hidden(model, WHOLE)
    x, classes = torch.randn(2, 5), torch.tensor([0, 1])
    with hidden.cut():
        inside = model(x, classes)
    assert hidden.taken(inside)
    model(x, classes).backward()
    assert model.encoder.weight.grad is not None
    assert hidden.taken(inside.detach()) == {}
