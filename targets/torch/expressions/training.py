"""Ops that act in training alone: `self.training` is what `.train()` and `.eval()` set."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.ops.training import Dropout, LayerDrop
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.text import Expression, call, named, number

RULES = Rules[Application, Expression]()

SWITCH = Expression("self.training")


@RULES.of(Dropout)
def _dropout(op: Dropout, use: Application) -> Expression:
    shared = op.shared()
    more = {"shared": shared} if shared else {}
    return call(named("dropout"), use["x"], _rate(op, use), SWITCH, **more)


@RULES.of(LayerDrop)
def _layer_drop(op: LayerDrop, use: Application) -> Expression:
    return call(named("layer_drop"), use["after"], use["before"], _rate(op, use), SWITCH)


def _rate(op: Dropout | LayerDrop, use: Application) -> Expression:
    return use.held.get("rate") or number(op.rate)
