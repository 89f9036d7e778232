"""Labels and lengths out of bounds, which a kernel would follow beyond its tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def readable(*tensors: Tensor) -> bool:
    """Whether looking at the entries costs nothing: they are on the CPU, and the call is not being compiled."""
    return all(each.device.type == "cpu" for each in tensors) and not torch.compiler.is_compiling()


def check_lengths(loss: str, lengths: Mapping[str, tuple[Tensor, int, int]]) -> None:
    """Raises ValueError for a length that is not from the least to the most that stand beside it."""
    for name, (each, least, most) in lengths.items():
        wrong = (each < least) | (each > most)
        if wrong.any():
            b = int(wrong.nonzero()[0])
            raise ValueError(f"{loss}: {name}[{b}] is {int(each[b])}; it must be from {least} to {most}")


def wrong_labels(targets: Tensor, label_lengths: Tensor, classes: int, blank: int | None = None) -> Tensor:
    """(B, U): the labels within label_lengths that are none of the classes, or the blank."""
    used = torch.arange(targets.shape[1], device=targets.device) < label_lengths.to(targets.device)[:, None]
    wrong = (targets < 0) | (targets >= classes)
    return used & (wrong if blank is None else wrong | (targets == blank))


def check_labels(loss: str, targets: Tensor, wrong: Tensor, classes: int, blank: int | None = None) -> None:
    """Raises ValueError for the first of the labels that `wrong_labels` found."""
    if wrong.any():
        b, u = (int(index) for index in wrong.nonzero()[0])
        raise ValueError(
            f"{loss}: targets[{b}, {u}] is {int(targets[b, u])}; within label_lengths it must be one of the {classes} "
            f"classes" + ("" if blank is None else f" and not the blank, {blank}")
        )
