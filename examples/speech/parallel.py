"""The processes of a run: one, or as many as torchrun starts; replicas of the model, or shards of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

PATIENCE_H = 4  # that processes wait for the one that reads a corpus into a file


@dataclass(frozen=True)
class Processes:
    """This process among all: its rank, its rank on its host, how many there are, and its device."""

    rank: int
    local_rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this one writes what there is once."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        if self.world > 1:
            dist.barrier(device_ids=[self.device.index] if self.device.type == "cuda" else None)


@contextlib.contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Joins the processes that torchrun started, if it did."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if "WORLD_SIZE" not in os.environ:
        yield Processes(0, 0, 1, device)
        return
    cuda = device.type == "cuda"
    dist.init_process_group(
        "nccl" if cuda else "gloo", device_id=device if cuda else None, timeout=timedelta(hours=PATIENCE_H)
    )
    yield Processes(dist.get_rank(), int(os.environ["LOCAL_RANK"]), dist.get_world_size(), device)
    dist.destroy_process_group()  # not behind an error: others may wait in it until torchrun ends them


def spread(model: nn.Module, strategy: str, here: Processes) -> nn.Module:
    """The model as all processes train it: sharded for `fsdp`, else replicated; alone as it is."""
    if strategy == "fsdp":
        mesh = init_device_mesh(here.device.type, (here.world,))
        for module in list(model.modules()):
            if isinstance(module, nn.ModuleList):
                for layer in module:
                    fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        return model
    if here.world == 1:
        return model
    ids = [here.device] if here.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)


@contextlib.contextmanager
def gradients_kept(model: nn.Module, kept: bool) -> Iterator[None]:
    """A backward pass whose gradients stay in this process, if `kept`: more micro-batches follow."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(not kept)
        yield
    elif isinstance(model, DistributedDataParallel) and kept:
        with model.no_sync():
            yield
    else:
        yield


def bare(model: nn.Module) -> nn.Module:
    """The module inside replicas."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def whole(value: Tensor) -> Tensor:
    """All of a tensor that may be sharded; every process has to ask."""
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value
