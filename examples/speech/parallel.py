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
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=4)  # of processes with the one that reads a corpus into a file


@dataclass(frozen=True)
class Processes:
    """This process: its device, its rank among all, its rank on its host, and how many there are. The one of rank 0
    writes what there is once."""

    device: torch.device
    rank: int = 0
    local_rank: int = 0
    world: int = 1

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        if self.world > 1:
            dist.barrier(device_ids=[self.device.index] if self.device.type == "cuda" else None)


@contextlib.contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Joins the processes that torchrun started, if it did."""
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    if "WORLD_SIZE" not in os.environ:
        yield Processes(device)
        return
    dist.init_process_group("nccl" if cuda else "gloo", device_id=device if cuda else None, timeout=PATIENCE)
    yield Processes(device, dist.get_rank(), int(os.environ["LOCAL_RANK"]), dist.get_world_size())
    dist.destroy_process_group()  # not behind an error: others may be in it until torchrun ends them


def spread(model: nn.Module, strategy: str, here: Processes) -> nn.Module:
    """The model as all processes train it: sharded for `fsdp`, by layers and as a whole, else replicated."""
    if strategy == "fsdp":
        mesh = init_device_mesh(here.device.type, (here.world,))
        inner_first = reversed(list(model.modules()))
        layers = [layer for each in inner_first if isinstance(each, nn.ModuleList) for layer in each]
        for module in (*layers, model):
            fully_shard(module, mesh=mesh)
        return model
    if here.world == 1:
        return model
    ids = [here.device] if here.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)


@contextlib.contextmanager
def gradients_kept(model: nn.Module, kept: bool) -> Iterator[None]:
    """A backward pass whose gradients stay in this process, if `kept`, because more micro-batches follow."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(not kept)
    with model.no_sync() if kept and isinstance(model, DistributedDataParallel) else contextlib.nullcontext():
        yield


def bare(model: nn.Module) -> nn.Module:
    """The module inside replicas."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def whole(value: Tensor) -> Tensor:
    """All of a tensor that may be sharded; every process has to ask."""
    return value.full_tensor() if isinstance(value, DTensor) else value
