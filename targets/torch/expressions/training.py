"""Ops that act in training alone: `self.training` is what `.train()` and `.eval()` set."""

from __future__ import annotations

from mctc.ir.ops.training import Dropout
from mctc.targets.torch.expressions.application import Application, Rule
from mctc.targets.torch.expressions.text import Expression, call, named, number

SWITCH = Expression("self.training")


def _dropout(use: Application) -> Expression:
    assert isinstance(use.op, Dropout)
    shared = use.op.shared()
    more = {"shared": shared} if shared else {}
    return call(named("dropout"), use["x"], _rate(use), SWITCH, **more)


def _layer_drop(use: Application) -> Expression:
    return call(named("layer_drop"), use["after"], use["before"], _rate(use), SWITCH)


def _rate(use: Application) -> Expression:
    return use.held.get("rate") or number(use.attribute("rate"))


TRAINING: dict[str, Rule] = {"dropout": _dropout, "layer_drop": _layer_drop}
