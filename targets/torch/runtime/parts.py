"""What parts of a module give while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from .recompute import is_again


@contextmanager
def outputs(module: nn.Module, *paths: str) -> Iterator[dict[str, Tensor]]:
    """What the modules at these paths inside of `module` return, by path, once it was called in this context.

    Gradients flow through it as they do through the result of `module`, recomputed layers included.
    """
    found: dict[str, Tensor] = {}

    def watch(path: str) -> Any:
        def keep(_: nn.Module, __: Any, result: Tensor) -> None:
            if not is_again():  # a layer that the backward pass computes again
                found[path] = result

        return module.get_submodule(path).register_forward_hook(keep)

    handles = [watch(path) for path in paths]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
