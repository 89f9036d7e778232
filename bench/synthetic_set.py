"""Writes a small set of recordings to score with: sentences of a grammar by espeak-ng, and when each word ends.

    python bench/synthetic_set.py FOLDER --count 300 --seed 7
    mctc score build/mct_small FOLDER/manifest.jsonl

Needs the wheel espeakng-loader. The sentences are in no text that the shipped model was trained on.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import synthesis

DRAWN = 5  # sentences for each that is short enough


def main() -> None:
    parser = argparse.ArgumentParser(description="Write recordings by espeak-ng and their manifest (NeMo's form).")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--most-words", type=int, default=30, help="of a sentence")
    asked = parser.parse_args()
    if not synthesis.installed():
        sys.exit("nothing speaks: pip install espeakng-loader")
    write(asked.folder, asked.count, asked.seed, asked.most_words)


def write(folder: Path, count: int, seed: int, most_words: int) -> None:
    """One 16-bit FLAC a sentence, and manifest.jsonl, whose `words` have their ends in seconds."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    drawn = (text for text in synthesis.sentences(DRAWN * count, seed) if len(text.split()) <= most_words)
    texts = [(text, "") for text in islice(drawn, count)]
    if len(texts) < count:
        sys.exit(
            f"of {DRAWN * count} sentences only {len(texts)} are as short as {most_words} words: allow longer ones"
        )
    entries = []
    for number, each in enumerate(synthesis.spoken(texts, seed)):
        name = f"{number:04}.flac"
        soundfile.write(folder / name, each.samples, synthesis.RATE, subtype="PCM_16")
        words = [
            {"word": word, "end": round(end, 3)}
            for word, end in zip(each.text.split(), each.ends, strict=True)
            if end is not None
        ]
        duration = len(each.samples) / synthesis.RATE
        entries.append({"id": name, "audio_filepath": name, "text": each.text, "duration": duration, "words": words})
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    (folder / "manifest.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
