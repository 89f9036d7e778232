"""How selective_scan.metal is spread over a GPU: sizes of its mapping by the number of states, chunks by the shape.

The launches of training and of MLX packages, which have the same text of the kernels, read it here: plain Python.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

SIMD = 32
THREADS_OF_CORE = 512  # that run at a time on one multiprocessor, with 128 registers each
APPLE_CORES = 32  # neither torch.mps nor MLX says how many there are; an M-series chip has 8 to 80
SHORTEST_CHUNK = 64  # steps; below, the chunks' own cost outweighs what running side by side gains
MOST_CHUNKS = 32  # each works out its first state from those before it
# On the way back each chunk leaves the end of its state and a partial sum of dA, and each threadgroup that shares a
# channel group one of dB and dC. So many steps for each state, and so large a share of the memory of x, keep that and
# the stored states within a quarter of the memory of x, delta, y and their gradients (for up to 16 states).
STEPS_OF_STATE = 8
PARTIAL_SHARE = 0.6


@dataclass(frozen=True)
class Mapping:
    """How a kernel's work is spread: the sizes that selective_scan.metal is compiled with."""

    lanes: int
    """Lanes of a SIMD group that share a channel's states."""
    held: int
    """States that each of them keeps in registers."""
    steps: int
    """Steps of time that are read at once."""
    simdgroups: int
    """SIMD groups of a threadgroup."""

    @property
    def channels(self) -> int:
        """Channels of a threadgroup."""
        return SIMD // self.lanes * self.simdgroups

    @property
    def threads(self) -> int:
        return SIMD * self.simdgroups


@dataclass(frozen=True)
class OverLanes:
    """How selective_scan_over_lanes.metal spreads the forward pass: the sizes it is compiled with."""

    steps: int
    """Successive steps of time in each lane."""
    together: int
    """States that are worked on at a time."""
    simdgroups: int
    """SIMD groups of a threadgroup, each of which has a channel."""
    resident: int
    """Threads of a multiprocessor, which bounds the registers of each."""

    @property
    def threads(self) -> int:
        return SIMD * self.simdgroups

    @property
    def tile(self) -> int:
        """Steps of time that a SIMD group has at once."""
        return SIMD * self.steps


@dataclass(frozen=True)
class Choice:
    """For up to so many states: the mappings of both passes, and the steps between two stored states."""

    state: int
    forward: Mapping
    backward: Mapping
    interval: int


# Fewer lanes leave less to exchange between them, more of them fewer registers to fill: the backward pass keeps
# held * steps states. Threadgroup memory (32 KB) limits steps and SIMD groups of the backward pass, and with many
# states the interval. Measured with bench/gpu/scan_tune.py.
CHOICES = (
    Choice(4, Mapping(4, 1, 16, 4), Mapping(8, 1, 16, 8), 32),
    Choice(8, Mapping(4, 2, 16, 4), Mapping(8, 1, 16, 8), 32),
    Choice(16, Mapping(4, 4, 16, 4), Mapping(8, 2, 16, 8), 32),
    Choice(32, Mapping(8, 4, 16, 4), Mapping(16, 2, 16, 4), 32),
    Choice(64, Mapping(16, 4, 16, 4), Mapping(32, 2, 8, 4), 32),
    Choice(128, Mapping(32, 4, 8, 4), Mapping(32, 4, 4, 4), 16),
    Choice(256, Mapping(32, 8, 4, 4), Mapping(32, 8, 4, 2), 16),
)


# For few channels on an NVIDIA GPU. Measured with bench/gpu/scan_tune.py.
FEWEST_CHUNKS_OVER_LANES = 2  # in their place: enough that a second pass costs more than what lanes exchange
# Of the device's threads for each SIMD group: with fewer groups, the time of one tile after another is longer than that
# of chunks (slower for 576 rows of 4,096 steps on 132 multiprocessors, faster for 1,024 and more).
THREADS_OF_ROW = 96
MOST_STATES_OVER_LANES = 64
FILLED = 0.8  # of the steps of all tiles
OVER_LANES = tuple(OverLanes(steps=16, together=each, simdgroups=4, resident=256) for each in (4, 2))


@dataclass(frozen=True)
class Plan:
    """What both passes of one call agree on."""

    forward: Mapping
    backward: Mapping
    interval: int
    """Steps between two stored states."""
    forward_chunk: int
    """Steps of a chunk of time, a multiple of the interval; chunks run side by side."""
    backward_chunk: int
    partials: int
    """Threadgroups that share the channels of a group in the backward pass: partial sums of dB and dC."""
    over_lanes: OverLanes | None = None
    """The forward pass with time across lanes, for tensors whose rows begin at 16 bytes."""

    def __post_init__(self) -> None:
        if self.forward_chunk % self.interval or self.backward_chunk % self.interval:
            raise ValueError(f"a chunk has to be a multiple of the {self.interval} steps between two stored states")
        if self.interval % self.forward.steps or self.interval % self.backward.steps:
            raise ValueError(f"{self.interval} steps between two stored states have to be whole tiles")


@functools.lru_cache(maxsize=1024)  # batches of utterances come in many lengths
def plan(
    batch: int, channels: int, length: int, state: int, groups: int, element_size: int, kept_size: int = 4,
    threads: int = APPLE_CORES * THREADS_OF_CORE, over_lanes: bool = False,
) -> Plan:  # fmt: skip
    """The plan for x (batch, channels, length) and B (batch, groups, state, length) of elements of so many bytes, on a
    GPU that runs so many threads at a time; a pass leaves numbers of `kept_size` bytes for another. `over_lanes` says
    whether time may lie across lanes on the way forward."""
    chosen = choice(state, element_size, kept_size)
    channels_of_group = channels // groups

    def chunk(mapping: Mapping, blocks: int, shortest: int) -> int:
        """Steps of a chunk, for as many chunks as the device has threads for beside each other."""
        chunks = min(max(1, threads // (batch * groups * blocks * mapping.threads)), MOST_CHUNKS)
        steps = max(-(-length // chunks), min(length, shortest), 1)
        return -(-steps // chosen.interval) * chosen.interval

    blocks = -(-channels_of_group // chosen.backward.channels)
    most = max(1, int(PARTIAL_SHARE * element_size / (2 * kept_size) * channels_of_group / state))
    partials = -(-blocks // -(-blocks // min(blocks, most)))
    forward_chunk = chunk(chosen.forward, -(-channels_of_group // chosen.forward.channels), SHORTEST_CHUNK)
    backward_chunk = chunk(chosen.backward, partials, max(SHORTEST_CHUNK, STEPS_OF_STATE * state))
    chunks = -(-length // forward_chunk)
    wanted = over_lanes and element_size == 2 and chunks >= FEWEST_CHUNKS_OVER_LANES
    wanted = wanted and batch * channels >= threads // THREADS_OF_ROW
    lanes = next((each for each in OVER_LANES if wanted and _fits(each, chosen, length, state)), None)
    return Plan(chosen.forward, chosen.backward, chosen.interval, forward_chunk, backward_chunk, partials, lanes)


def _fits(across: OverLanes, chosen: Choice, length: int, state: int) -> bool:
    """Whether steps and states are whole multiples of what a lane takes, and steps fill their tiles."""
    of_steps = length % across.steps == 0 and chosen.interval % across.steps == 0 and across.tile % chosen.interval == 0
    of_states = state % across.together == 0 and state <= MOST_STATES_OVER_LANES
    return of_steps and of_states and length >= FILLED * across.tile * -(-length // across.tile)


@functools.cache
def choice(state: int, element_size: int, kept_size: int = 4) -> Choice:
    """The mappings for so many states of a channel, elements of so many bytes, and stored states of so many."""
    chosen = next(each for each in CHOICES if state <= each.state)
    if element_size == 4 or state > 16:
        return chosen
    # Half as large a share of half as large elements; stored states of two bytes lie twice as close.
    return replace(chosen, interval=kept_size * chosen.interval)
