"""Damage to the folder of a build, as disks, editors and copies that stop half-way do it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

VALUES: tuple[Any, ...] = (None, [], {}, "x", "", -1, 0, 3, 1e300, 10**30, True, [[]], {"x": 1}, ["x"])

Damage = Callable[[Path, random.Random], str]


def damage(folder: Path, names: Sequence[str], chance: random.Random) -> tuple[str, str]:
    """Damages one of the files, every other time the manifest; which one, and what was done."""
    text = [name for name in names if name.endswith((".json", ".mir"))]
    name = "manifest.json" if chance.random() < 0.5 else chance.choice([*names, *text])
    holds = name.endswith(".json") and _places(json.loads((folder / name).read_bytes()))
    done = chance.choice(JSON if holds and chance.random() < 0.7 else ANY)
    return name, done(folder / name, chance)


def differs(path: Path, before: bytes) -> bool:
    """Whether something else stands at a path than before. JSON may be spaced otherwise."""
    if not os.path.lexists(path):
        return False
    if not path.is_file():
        return True
    after = path.read_bytes()
    try:
        return bool(json.loads(after) != json.loads(before))
    except (ValueError, RecursionError):
        return after != before


def cut(path: Path, chance: random.Random) -> str:
    data = path.read_bytes()
    kept = chance.randrange(len(data) + 1)
    path.write_bytes(data[:kept])
    return f"cut to {kept} bytes"


def flip(path: Path, chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 20])):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return "bits flipped"


def delete(path: Path, _: random.Random) -> str:
    path.unlink()
    return "deleted"


def overwrite(path: Path, chance: random.Random) -> str:
    path.write_bytes(chance.choice([b"", b"\xff\xfe\x00", b"[" * 100_000, b"\x00" * 4096, b'{"a":' * 50_000]))
    return "overwritten"


def folder_instead(path: Path, _: random.Random) -> str:
    path.unlink()
    path.mkdir()
    return "a folder in its place"


def pipe_instead(path: Path, _: random.Random) -> str:
    path.unlink()
    os.mkfifo(path)
    return "a FIFO in its place"


def drop_line(path: Path, chance: random.Random) -> str:
    lines = path.read_bytes().splitlines(keepends=True)
    number = chance.randrange(len(lines) or 1)
    path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
    return f"without line {number + 1}"


def drop_key(path: Path, chance: random.Random) -> str:
    content = json.loads(path.read_bytes())
    place, key = chance.choice(_places(content))
    del place[key]
    path.write_text(json.dumps(content), encoding="utf-8")
    return f"without {key!r}"


def replace_value(path: Path, chance: random.Random) -> str:
    content = json.loads(path.read_bytes())
    place, key = chance.choice(_places(content))
    place[key] = chance.choice(VALUES)
    path.write_text(json.dumps(content), encoding="utf-8")
    return f"{key!r} = {place[key]!r}"


ANY: tuple[Damage, ...] = (cut, flip, delete, overwrite, folder_instead, pipe_instead, drop_line)
JSON: tuple[Damage, ...] = (drop_key, replace_value)


def _places(content: Any) -> list[tuple[Any, Any]]:
    """Every entry of every table and list in a value."""
    found: list[tuple[Any, Any]] = []
    keys = list(content) if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else []
    for key in keys:
        found += [(content, key), *_places(content[key])]
    return found
