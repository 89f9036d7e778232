"""Writes a manifest over Asterisk's English prompts, spoken by one American woman (CC BY-SA 3.0), to score with.

    python bench/asterisk_prompts.py FOLDER
    mctc score build/mct_small FOLDER/manifest.jsonl

Takes them from the system's package manager, where it has them: Debian's packages, fetched and unpacked into FOLDER by
apt-get and dpkg-deb without being installed; or, with --installed, from where they were installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples/speech"))

from corpus.prompts import UNSAID, listed

SOUNDS, TEXTS = "asterisk-core-sounds-en-wav", "asterisk-core-sounds-en"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a manifest (NeMo's form) over Asterisk's English prompts.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--installed", action="store_true", help=f"{SOUNDS} and {TEXTS} are installed")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    root = Path("/") if asked.installed else unpacked(asked.folder)
    entries = [*prompts(root)]
    if not entries:
        sys.exit(f"no prompts lie below {root}")
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    (asked.folder / "manifest.jsonl").write_text(lines, encoding="utf-8")
    print(f"{len(entries)} prompts: {asked.folder / 'manifest.jsonl'}")


def unpacked(folder: Path) -> Path:
    """A folder that holds what the packages hold."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        sys.exit(f"there is no apt-get here: install {SOUNDS} and {TEXTS} otherwise, and call with --installed")
    root = folder / "packages"
    for package in (SOUNDS, TEXTS):
        if subprocess.run(["apt-get", "download", package], cwd=folder).returncode:
            sys.exit(f"apt-get has no {package}; `apt-get update` renews what it knows")
    for archive in sorted(folder.glob("asterisk-core-sounds-en*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True)
        archive.unlink()
    return root.resolve()


def prompts(root: Path) -> Iterator[dict[str, str]]:
    """An entry for each prompt with words in it, of those whose text is all that is said."""
    for prompt in listed(root, "wav"):
        if not UNSAID.search(prompt.text):
            yield {"id": prompt.name, "audio_filepath": str(prompt.path), "text": prompt.text}


if __name__ == "__main__":
    main()
