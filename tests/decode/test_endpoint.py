"""When an utterance is over."""

from __future__ import annotations

import pytest

from mctc.decode.endpoint import USUAL, Endpointer, EndpointRule
from mctc.decode.hypothesis import Hypothesis, Partial

SPACE = 1


def partial(labels: dict[int, int], frames: int, begun: int = 0) -> Partial:
    """What is known where labels were emitted at these frames."""
    found = Hypothesis(tuple(labels.values()), 0.0, tuple(labels), (1.0,) * len(labels))
    return Partial(found, 0, frames, begun)


@pytest.mark.parametrize(
    ("labels", "frames", "begun", "rule"),
    [
        ({}, 59, 0, None),
        ({}, 60, 0, "silence before any word"),
        ({}, 119, 60, None),
        ({70: 5}, 100, 60, None),
        ({70: 5}, 101, 60, "silence after words"),
        ({70: 5, 90: SPACE}, 101, 60, "silence after words"),  # a space is no sound
        ({70: SPACE}, 119, 60, None),
        ({70: SPACE}, 120, 60, "silence before any word"),
        ({98: 5}, 499, 0, "silence after words"),
        ({490: 5}, 499, 0, None),
        ({490: 5}, 500, 0, "longest utterance"),
    ],
)
def test_the_usual_rules(labels: dict[int, int], frames: int, begun: int, rule: str | None) -> None:
    """Frames of 40 ms: 2.4 s of silence before a word are 60, 1.2 s after one 30; 20 s are 500."""
    found = Endpointer(0.04, USUAL, quiet={SPACE}).reached(partial(labels, frames, begun))
    assert (found.name if found else None) == rule


def test_a_rule_needs_all_that_it_says() -> None:
    rules = [EndpointRule("late", silence_s=0.4, length_s=2.0)]
    assert Endpointer(0.04, rules).reached(partial({30: 5}, 49)) is None
    assert Endpointer(0.04, rules).reached(partial({30: 5}, 50)) == rules[0]
    assert Endpointer(0.04, rules).reached(partial({45: 5}, 50)) is None
