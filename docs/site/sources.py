"""Pages of repository files that other pages link to: a file as it is, a folder as a list."""

from __future__ import annotations

from pathlib import Path

LANGUAGES = {".py": "python", ".toml": "toml", ".sh": "bash", ".cpp": "cpp", ".h": "cpp", ".metal": "cpp"}
HEAD = "---\norphan: true\nnosearch: true\n---\n\n"
FOLDER = "README"
"""The name of a folder's page inside it."""


def source_page(root: Path, path: str) -> str:
    """The page of a file or folder; `path` is relative to the root."""
    place = root / path
    return HEAD + (_folder(root, place) if place.is_dir() else _file(place, path))


def _file(place: Path, path: str) -> str:
    text = place.read_text(encoding="utf-8")
    fence = "```"
    while fence in text:
        fence += "`"
    return f"# {path}\n\n{fence}{LANGUAGES.get(place.suffix, 'none')}\n{text.rstrip()}\n{fence}\n"


def _folder(root: Path, place: Path) -> str:
    path = place.relative_to(root).as_posix()
    inside = sorted(each for each in place.iterdir() if not each.name.startswith((".", "__pycache__")))
    rows = [f"* `{each.name}{'/' if each.is_dir() else ''}`" for each in inside]
    return f"# {path}\n\n" + "\n".join(rows) + "\n"
