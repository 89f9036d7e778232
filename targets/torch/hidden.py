"""What the components of a module give while its loss is computed, and how a rounded module is drawn to another's.

Of results that stand for classes the module is drawn by the difference of the gradients that both modules' losses have
there. For cross entropy that is the gradient of the distance between the two distributions (Hinton et al. 2015,
arXiv:1503.02531), for a loss over alignments the same, each cell of the lattice weighed by how likely the text passes
it. So no loss has to be known here. Other results are drawn together by their squared distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.ir.types import Role


class Hidden:
    """Results of components, those of the last call within a `with` block. Of several results of one component, and of
    several calls, each has a name of its own."""

    def __init__(self, model: Any, whole: Program) -> None:
        self._hidden: dict[str, Tensor] = {}
        self._classes: dict[str, Tensor] = {}
        self._active = self._cut = False
        for name, child in model.named_children():
            if name in whole.functions:
                classes = [Role.VOCABULARY in value.type.roles for _, value in whole.functions[name].results]
                child.register_forward_hook(partial(self._took, name, classes))

    def cut(self) -> Hidden:
        """For a `with` block in which no gradient goes further back than to results that stand for classes."""
        self._cut = True
        return self

    def __enter__(self) -> None:
        self._hidden, self._classes, self._active = {}, {}, True

    def __exit__(self, *_: object) -> None:
        self._active = self._cut = False

    def taken(self, loss: Tensor) -> dict[str, Array]:
        """Results that stand for no classes, and the gradients of the loss by those that do."""
        found = {name: each.detach().numpy() for name, each in self._hidden.items()}
        found |= {name: each.numpy() for name, each in self._gradients(loss).items()}
        self._hidden, self._classes = {}, {}
        return found

    def drawn(self, loss: Tensor, toward: Mapping[str, Array], labels: int) -> Tensor:
        """What has the gradient of the distance from what the other module gave, a label."""
        found = self.distance(toward)
        for name, gradient in self._gradients(loss).items():
            found = found + (self._classes[name] * (gradient - torch.from_numpy(toward[name]))).sum() / max(labels, 1)
        self._hidden, self._classes = {}, {}
        return found

    def distance(self, toward: Mapping[str, Array]) -> Tensor:
        """The squares of the differences over those of `toward`, summed over the results that stand for no classes."""
        found = torch.zeros(())
        for name, each in self._hidden.items():
            wanted = torch.from_numpy(toward[name])
            found = found + (each - wanted).square().sum() / wanted.square().sum().clamp(min=1e-12)
        return found

    def _gradients(self, loss: Tensor) -> dict[str, Tensor]:
        names = [name for name, each in self._classes.items() if each.requires_grad]
        if not names or not loss.requires_grad:
            return {}
        results = [self._classes[name] for name in names]
        gradients = torch.autograd.grad(loss, results, retain_graph=True, allow_unused=True)
        return {name: torch.zeros_like(each) if gradient is None else gradient
                for name, each, gradient in zip(names, results, gradients)}  # fmt: skip

    def _took(self, name: str, classes: Sequence[bool], _: Any, __: Any, result: Any) -> Any:
        if not self._active:
            return None
        several = isinstance(result, (tuple, list))
        results = list(result) if several else [result]
        for at, (stands, each) in enumerate(zip(classes, results)):
            if not isinstance(each, Tensor) or not each.is_floating_point():
                continue
            key = f"{name}.{at}.{len(self._hidden) + len(self._classes)}"
            if not stands:
                self._hidden[key] = each
                continue
            if self._cut:
                results[at] = each.detach().requires_grad_()
            self._classes[key] = results[at]
        return (tuple(results) if several else results[0]) if self._cut else None
