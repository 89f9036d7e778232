"""Shares hold every utterance once, whoever says which they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.score.shard import Shard, asked

ARRAY = {"SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_STEP": "5"}


def test_shares_hold_every_item_once() -> None:
    items = list(range(11))
    shares = [asked(f"{number}/3", {}).of(items) for number in (1, 2, 3)]
    assert sorted(each for share in shares for each in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("environment", "number", "count"),
    [
        ({}, 1, 1),
        ({"RANK": "2", "WORLD_SIZE": "8"}, 3, 8),
        ({**ARRAY, "SLURM_ARRAY_TASK_ID": "20"}, 3, 3),
        ({**ARRAY, "SLURM_ARRAY_TASK_ID": "15", "RANK": "1", "WORLD_SIZE": "2"}, 4, 6),
        ({"RANK": "0"}, 1, 1),
    ],
    ids=["neither", "torchrun", "array", "torchrun in an array", "half of a pair"],
)
def test_the_environment_chooses(environment: dict[str, str], number: int, count: int) -> None:
    found = asked(None, environment)
    assert (found.number, found.count) == (number, count)
    assert asked("1/1", environment) == Shard()


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="I/N"):
        asked(text, {})


@pytest.mark.parametrize(
    "environment",
    [
        {"RANK": "2", "WORLD_SIZE": "2"},
        {"RANK": "x", "WORLD_SIZE": "2"},
        {**ARRAY, "SLURM_ARRAY_TASK_ID": "12"},
        {**ARRAY, "SLURM_ARRAY_TASK_ID": "25"},
        {**ARRAY, "SLURM_ARRAY_TASK_ID": "15", "SLURM_ARRAY_TASK_STEP": "0"},
    ],
)
def test_numbers_of_the_environment_that_can_t_be_are_named(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="=") as raised:
        asked(None, environment)
    assert "--shard" in str(raised.value.hint)


def test_files_are_a_share_s_own_where_all_have_the_same_command_line() -> None:
    assert asked(None, {"RANK": "1", "WORLD_SIZE": "4"}).named(Path("a/r.json")) == Path("a/r.2-of-4.json")
    assert asked("2/4", {}).named(Path("a/r.json")) == Path("a/r.json")
