"""Batches for one process: cut on the device that holds the sound, else in a thread, some steps in advance."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from .batches import MicroBatch, Step
from .parallel import Processes
from .sound import Cut, Sound

AHEAD = 4  # steps

Cuts = list[tuple[MicroBatch, Cut]]


def loaded(plan: Iterable[Step], sound: Sound, here: Processes) -> Iterator[tuple[Step, Cuts]]:
    """Each step with this process' micro-batches, on its device."""
    if sound.samples.device == here.device and here.device.type != "cpu":
        for step in plan:
            yield step, [(each, _cut(each, sound, here)) for each in _mine(step, here)]
        return
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[tuple[Step, list[tuple[MicroBatch, Future[Cut]]]]] = deque()
        for step in plan:
            waiting.append((step, [(each, pool.submit(_cut, each, sound, here)) for each in _mine(step, here)]))
            if len(waiting) > AHEAD:
                yield _ready(*waiting.popleft(), here)
        while waiting:
            yield _ready(*waiting.popleft(), here)


def _ready(step: Step, cuts: list[tuple[MicroBatch, Future[Cut]]], here: Processes) -> tuple[Step, Cuts]:
    moved = [(batch, Cut(*(each.to(here.device, non_blocking=True) for each in cut.result()))) for batch, cut in cuts]
    return step, moved


def _mine(step: Step, here: Processes) -> tuple[MicroBatch, ...]:
    return step.batches[here.rank :: here.world]


def _cut(batch: MicroBatch, sound: Sound, here: Processes) -> Cut:
    where = sound.samples.device
    which = torch.from_numpy(batch.utterances)
    if where.type == "cuda":
        return sound.cut(_pinned(which, here).to(where, non_blocking=True), batch.samples, batch.labels)
    return Cut(*(_pinned(each, here) for each in sound.cut(which.to(where), batch.samples, batch.labels)))


def _pinned(value: Tensor, here: Processes) -> Tensor:
    """In memory from which a GPU copies without the processor waiting."""
    return value.pin_memory() if here.device.type == "cuda" else value
