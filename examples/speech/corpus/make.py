"""Makes a corpus in many processes, each shard in one of its own."""

from __future__ import annotations

import json
import multiprocessing
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from corpus.espeak import Espeak
from corpus.festival import Festival
from corpus.flite import Flite
from corpus.inputs import LEFT_OUT, NOTHING, Inputs
from corpus.pico import Pico
from corpus.plan import PERSON, SELECTION, Plan, Settings, Shard, planned
from corpus.rhvoice import RHVoice
from corpus.shards import PART, lines_of, make

SETTINGS, TEXT = "settings.json", "text.txt"
VOICES = {engine.name: engine.voices for engine in (Espeak, Flite, Festival, Pico, RHVoice)}
FORKED = multiprocessing.get_context("fork")  # the plan is shared, not copied
FIRST = (SELECTION, PERSON, "rhvoice", "festival", "flite", "espeak", "pico")  # the slowest shards begin first


def make_corpus(inputs: Inputs, folder: Path, settings: Settings, processes: int) -> None:
    """Writes shards, manifests and texts; those shards that are there already are kept.

    Raises ValueError where the folder has a corpus of other settings, RuntimeError where a shard fails.
    """
    refuse_others(folder, settings)
    there = inputs.engines()
    engines = {name: opened for name, opened in there.items() if name not in settings.without}
    if not engines:
        raise ValueError(LEFT_OUT.format(", ".join(there)) if there else NOTHING)
    plan = planned(inputs, {name: VOICES[name] for name in engines}, settings)
    _settle(folder, settings)
    missing = [shard for shard in plan.shards if not lines_of(folder, shard).is_file()]
    missing.sort(key=lambda shard: FIRST.index(shard.engine))
    running: dict[ForkProcess, Shard] = {}
    try:
        while missing or running:
            while missing and len(running) < processes:
                shard = missing.pop(0)
                process = FORKED.Process(target=make, args=(plan, shard, engines, folder), daemon=True)
                process.start()
                running[process] = shard
            connection.wait([process.sentinel for process in running])
            for process in [each for each in running if not each.is_alive()]:
                shard = running.pop(process)
                process.join()
                if process.exitcode:
                    raise RuntimeError(f"shard {shard.name} failed; what it said is above")
    finally:
        for process in running:
            process.terminate()
    _collect(plan, folder)


def refuse_others(folder: Path, settings: Settings) -> None:
    """Raises ValueError where the folder has a corpus of other settings or inputs."""
    path = folder / SETTINGS
    if path.is_file() and (found := path.read_text(encoding="utf-8")) != _told(settings):
        raise ValueError(f"{folder} has a corpus of other settings: {found.strip()}; name another folder")


def _settle(folder: Path, settings: Settings) -> None:
    """Begins a corpus, or goes on with one: its settings are kept, what was half written goes."""
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    for left in (folder / "shards").glob(f"*{PART}"):
        left.unlink()
    _write(folder / SETTINGS, [_told(settings)])


def _told(settings: Settings) -> str:
    return json.dumps(asdict(settings)) + "\n"


def _collect(plan: Plan, folder: Path) -> None:
    """Writes each set's manifest, and the texts of training."""
    sets: dict[str, list[str]] = defaultdict(list)
    for shard in plan.shards:
        sets[shard.set] += lines_of(folder, shard).read_text(encoding="utf-8").splitlines(keepends=True)
    for name, lines in sets.items():
        _write(folder / f"{name}.jsonl", lines)
    _write(folder / TEXT, (json.loads(line)["text"] + "\n" for line in sets["train"]))


def _write(path: Path, lines: Iterable[str]) -> None:
    """All of a file or nothing."""
    part = path.with_name(path.name + ".part")
    part.write_text("".join(lines), encoding="utf-8")
    part.rename(path)


def summary(folder: Path) -> str:
    """Utterances, hours and voices of each set and engine."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            found[path.stem, entry["engine"]].append(entry)
    lines = [f"{'set':14} {'engine':9} utterances    hours  voices  words"]
    for (name, engine), entries in found.items():
        hours = sum(entry["duration"] for entry in entries) / 3600
        voices = len({entry["voice"] for entry in entries})
        words = sum(len(entry["text"].split()) for entry in entries)
        lines.append(f"{name:14} {engine:9} {len(entries):10} {hours:8.3f} {voices:7} {words:6}")
    return "\n".join(lines)
