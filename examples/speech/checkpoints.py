"""Checkpoints that a kill at any moment leaves whole: written to a hidden file, flushed, then renamed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

NAME = re.compile(r"step-(\d+)\.pt")
FOLDER, LOG = "checkpoints", "log.jsonl"


def found(run: Path) -> list[Path]:
    """The checkpoints of a run, the latest last."""
    matches = [(NAME.fullmatch(path.name), path) for path in (run / FOLDER).glob("step-*.pt")]
    return [path for _, path in sorted((int(match[1]), path) for match, path in matches if match)]


def load(path: Path) -> dict[str, Any]:
    """What was saved, on the CPU. A checkpoint holds tensors and plain values; nothing else is read."""
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def save(run: Path, step: int, content: Mapping[str, Any], keep: int) -> Path:
    """Writes the checkpoint behind `step` steps and removes all but the last `keep`."""
    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08}.pt"
    hidden = folder / f".{path.name}.part"
    with hidden.open("wb") as file:
        torch.save(dict(content), file)
        file.flush()
        os.fsync(file.fileno())
    hidden.replace(path)
    _flush_folder(folder)
    for old in found(run)[:-keep]:
        old.unlink()
    return path


def rewind_log(run: Path, step: int) -> None:
    """Drops the lines of the log that a resumed run writes again, and one that a kill cut short."""
    path = run / LOG
    if not path.exists():
        return
    kept = []
    for line in path.read_text("utf-8").splitlines():
        try:
            if json.loads(line)["step"] > step:
                break
        except (json.JSONDecodeError, KeyError):
            break
        kept.append(line + "\n")
    hidden = path.with_name(f".{LOG}.part")
    hidden.write_text("".join(kept), "utf-8")
    hidden.replace(path)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
