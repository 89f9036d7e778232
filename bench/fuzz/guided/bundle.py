"""A model on disk as one string of bytes, which any string of bytes is.

The first byte is the container, then for each member in the order of `MEMBERS`: a byte for what it is in the file
system, its length (4 bytes, little-endian) and its content. What is cut off is absent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

MEMBERS = {
    "x.mlpackage": ("Manifest.json", "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"),
    "x.mlmodelc": ("model.mil", "metadata.json", "weights/weight.bin"),
    "x.mlmodel": ("", "weights/weight.bin"),
}
"""The files of each container; "" is the container itself. The weights of a bare specification lie beside it."""
KINDS = ("file", "absent", "link", "pipe", "folder")


@dataclass(frozen=True)
class Member:
    """A file of a model. A link leads where its content says."""

    content: bytes
    kind: str = "file"


@dataclass(frozen=True)
class Bundle:
    """`members` by the names in MEMBERS."""

    container: str
    members: Mapping[str, Member] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """As bytes."""
        parts = [bytes([tuple(MEMBERS).index(self.container)])]
        for name in MEMBERS[self.container]:
            member = self.members.get(name, Member(b"", "absent"))
            parts += [bytes([KINDS.index(member.kind)]), len(member.content).to_bytes(4, "little"), member.content]
        return b"".join(parts)

    def with_member(self, name: str, member: Member) -> Bundle:
        """The same with one member exchanged."""
        return replace(self, members={**self.members, name: member})

    def write(self, folder: Path) -> Path:
        """Lays the model out in an empty folder; its path."""
        top = folder / self.container
        for name, member in self.members.items():
            beside = self.container.endswith(".mlmodel") and name
            path = folder / name if beside else top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _place(path, member)
        return top


def _place(path: Path, member: Member) -> None:
    if member.kind == "file":
        path.write_bytes(member.content)
    elif member.kind == "folder":
        path.mkdir()
    elif member.kind == "pipe":
        os.mkfifo(path)
    elif member.kind == "link":
        target = os.fsdecode(member.content[:200].replace(b"\0", b"")) or "."
        path.symlink_to(target)


def decoded(data: bytes) -> Bundle:
    """The bundle that a string of bytes is."""
    container = tuple(MEMBERS)[data[0] % len(MEMBERS)] if data else next(iter(MEMBERS))
    members, at = {}, 1
    for name in MEMBERS[container]:
        if at + 5 > len(data):
            break
        kind, length = KINDS[data[at] % len(KINDS)], int.from_bytes(data[at + 1 : at + 5], "little")
        content = data[at + 5 : at + 5 + length]
        at += 5 + len(content)
        if kind != "absent":
            members[name] = Member(content, kind)
    return Bundle(container, members)


def bundled(path: Path) -> Bundle:
    """A model that lies on disk."""
    container = f"x{path.suffix}"
    files = {name: path / name if name else path for name in MEMBERS[container]}
    return Bundle(container, {name: Member(file.read_bytes()) for name, file in files.items() if file.is_file()})


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)  # noqa: PTH108 — half of the time of a Path
    return folder
