"""What a search is told, as data."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

from mctc.records import dataclass

Method = Literal["greedy", "beam", "time-synchronous"]


@dataclass(frozen=True)
class Settings:
    """Settings of a search. Raises ValueError naming the field that can't be.

    method: greedy; beam, which for a transducer emits at most one label a frame; time-synchronous, a transducer's
    beam with up to `max_symbols` labels a frame. beam: hypotheses that are kept, none of them more than
    `window` (a difference of natural logarithms) behind the best. n_best: hypotheses that `finish`
    returns at most. blank_penalty: what is taken off the blank's logit: more than 0 gives more labels. durations: of a
    token-and-duration transducer, how many frames each of the logits behind those of the tokens goes on.
    """

    method: Method = "greedy"
    beam: int = 4
    window: float = 3.0
    n_best: int = 1
    blank: int = 0
    blank_penalty: float = 0.0
    max_symbols: int = 5
    durations: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        least = {"beam": 1, "n_best": 1, "max_symbols": 1, "blank": 0}
        for each in fields(self):
            if each.name in least and getattr(self, each.name) < least[each.name]:
                raise ValueError(f"{each.name} must be at least {least[each.name]}, not {getattr(self, each.name)}")
        if self.durations and (min(self.durations) < 0 or max(self.durations) < 1):
            raise ValueError(f"durations are numbers of frames, one of them at least 1, not {list(self.durations)}")
