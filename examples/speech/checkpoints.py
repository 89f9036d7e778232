"""Checkpoints, which a kill at any moment leaves whole, and a log that fits the last one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from errno import EACCES, ENOTDIR
from os import W_OK, X_OK, access, strerror
from pathlib import Path
from typing import Any

import torch

from mctc.atomic import whole_file, write_text

NAME = re.compile(r"step-(\d+)\.pt")
FOLDER, LOG, SCORE = "checkpoints", "log.jsonl", "dev_wer"


def check_place(run: Path) -> None:
    """Raises OSError now where the folder of a run could not be made or written to later. It is made by what is first
    written: a run that fails before leaves none."""
    place = next(each for each in (run, *run.absolute().parents) if each.exists())
    if not place.is_dir():
        raise NotADirectoryError(ENOTDIR, strerror(ENOTDIR), str(place))
    if not access(place, W_OK | X_OK):
        raise PermissionError(EACCES, strerror(EACCES), str(place))


def found(run: Path) -> list[Path]:
    """The checkpoints of a run, the latest last."""
    matches = [(NAME.fullmatch(path.name), path) for path in (run / FOLDER).glob("step-*.pt")]
    return [path for _, path in sorted((int(match[1]), path) for match, path in matches if match)]


def load(path: Path) -> dict[str, Any]:
    """What was saved, on the CPU: tensors and plain values, nothing else is read."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def save(run: Path, step: int, content: Mapping[str, Any], keep: int) -> None:
    """Writes the checkpoint behind `step` steps and removes all but the last `keep`."""
    (run / FOLDER).mkdir(parents=True, exist_ok=True)
    with whole_file(run / FOLDER / f"step-{step:08}.pt") as file:
        torch.save(dict(content), file)
    for old in found(run)[:-keep]:
        old.unlink()


def is_scored(run: Path, step: int) -> bool:
    """Whether the log has the words wrong on the dev set behind `step` steps."""
    lines = [json.loads(line) for line in (run / LOG).read_text("utf-8").splitlines()]
    return any(line["step"] == step and SCORE in line for line in lines)


def rewind_log(run: Path, step: int) -> None:
    """Drops the lines of the log that a resumed run writes again, and one that a kill cut short."""
    if not (run / LOG).exists():
        return
    lines = (run / LOG).read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    write_text(run / LOG, "".join(kept))
