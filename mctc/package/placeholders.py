"""What lies in the place of a file whose content is elsewhere, or never came, and the way to that content."""

from __future__ import annotations

import re
from pathlib import Path

from mctc.records import dataclass

HEAD = 1024
"""Bytes from the start of a file that are enough to tell; a pointer of Git LFS is shorter than this."""

_LFS = re.compile(rb"version \S+\r?\n(?:ext-\S+ [^\n]*\n)*oid sha256:[0-9a-f]{64}\r?\nsize (\d+)\r?\n")
_ANNEX = re.compile(rb"/?(?:\.\./)*(?:\.git)?/?annex/objects/\S+\s*")
_BLOB = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})")
_REPOSITORY = re.compile(r"(?:models|datasets|spaces)--.+")
_COPY = "copy the package with its links followed (cp -RL) and name the copy"
_ANNEX_GET = "fetch it: git annex get . in the repository"
_OTHERS = (
    (
        re.compile(rb"\s*<(?:!doctype html|html)", re.IGNORECASE),
        "an HTML page",
        "download the file itself, not its page",
    ),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive", "unpack it and name what is inside"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive", "unpack it and name what is inside"),
    (re.compile(rb"\s*[{\[]"), "JSON", "name a .mlpackage or .mlmodelc folder or a .mlmodel file"),
    (re.compile(rb"[\t\r\n\x20-\x7e]+\Z"), "a text", "download the file itself"),
)


@dataclass(frozen=True)
class Placeholder:
    """What a file is in place of its content, and what to do about it."""

    what: str
    hint: str


def placeholder(head: bytes, size: int) -> Placeholder | None:
    """What a file of `size` bytes that begins with `head` stands for; None for one with content of its own."""
    if not size:
        return Placeholder("an empty file", "write or download it again")
    pointer = _LFS.fullmatch(head) if size == len(head) else None
    if pointer:
        return Placeholder(
            f"a Git LFS pointer in place of {int(pointer[1])} bytes", "fetch them: git lfs pull in the repository"
        )
    if size == len(head) and _ANNEX.fullmatch(head):
        return Placeholder("a git-annex pointer in place of the content", _ANNEX_GET)
    return None


def missing(path: Path) -> Placeholder:
    """What is to be told of a path where no file is."""
    if not path.is_symlink():
        return Placeholder("there is no such file", "the model is not whole: copy or download it again")
    target = str(path.readlink())
    if "annex/objects/" in target:
        return Placeholder("a git-annex link in place of the content", _ANNEX_GET)
    if Path(target).parent.name == "blobs":
        return Placeholder(
            "a link to a blob that isn't in the cache", "its download was not finished: download it again"
        )
    return Placeholder(f"a link to {target!r}, where nothing is", _COPY)


def outside(real: Path) -> Placeholder:
    """What is to be told of a link that leads out of the model's folder."""
    return Placeholder(f"leads outside the package, to {real}", _COPY)


def in_cache(folder: Path, real: Path) -> bool:
    """Whether a link in a model's folder ends at a blob of the Hugging Face cache that the folder is a snapshot of.

    The cache holds REPOSITORY/snapshots/REVISION/FILE, a link to REPOSITORY/blobs/HASH. Both paths are resolved.
    """
    revision = next((each for each in (folder, *folder.parents) if each.parent.name == "snapshots"), None)
    if revision is None or not _BLOB.fullmatch(real.name):
        return False
    repository = revision.parent.parent
    return bool(_REPOSITORY.fullmatch(repository.name)) and real.parent == repository / "blobs"


def other_content(head: bytes) -> Placeholder | None:
    """What a file holds that was to be a model and isn't, where its first bytes tell."""
    return next((Placeholder(what, hint) for form, what, hint in _OTHERS if form.match(head)), None)
