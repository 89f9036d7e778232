"""Sentences of Debian's dictionaries and fortunes."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from corpus.words import sayable, words

DICTIONARIES = ("gcide", "wn", "foldoc", "jargon", "devil")
DICTIONARY, FORTUNES = "usr/share/dictd/{}.dict.dz", "usr/share/games/fortunes"
UNREAD = ("ascii-art", "translate-me", "debian", "linuxcookie", "knghtbrd", "perl", "zippy")  # drawings, code, slang
LEAST_WORDS, MOST_WORDS = 2, 22
LEAST_OCCURRENCES = 3  # of each word of a sentence, over all sentences: misprints and other languages occur less
END = re.compile(r"(?<=[.?!;])\s+")
# Headwords with their pronunciation, sources, labels, etymologies, cross references, quoted authors.
LEFT_OUT = re.compile(r"\\[^\\]*\\|\[[^\]]*\]|<[^>]*>|\([^()]{0,12}\.\)|--\s?[A-Z][^\n]*|^\s*\d+\.|\b[a-z]\. ", re.M)
BRACES = re.compile(r"[{}]")


def paragraphs(root: Path) -> Iterator[str]:
    """Paragraphs below a folder that holds what the packages hold, without line ends."""
    for name in DICTIONARIES:
        path = root / DICTIONARY.format(name)
        if path.is_file():
            yield from _cut(gzip.decompress(path.read_bytes()).decode("utf-8", "replace"))
    for path in sorted((root / FORTUNES).glob("*")):
        if path.is_file() and not path.suffix and path.name not in UNREAD and not path.is_symlink():
            for cookie in path.read_text(encoding="utf-8", errors="replace").split("\n%\n"):
                yield from _cut(cookie)


def _cut(text: str) -> Iterator[str]:
    for part in re.split(r"\n\s*\n", text):
        kept = re.sub(r"\s+", " ", BRACES.sub("", LEFT_OUT.sub(" ", part)))
        yield from re.findall(r'"([^"]{8,})"', kept)  # examples of WordNet
        yield re.sub(r'"[^"]{8,}"', " ", kept)


def sentences(root: Path) -> list[str]:
    """Different sentences as they are said, sorted; none whose words are those of another."""
    found: dict[str, str] = {}
    for paragraph in paragraphs(root):
        for sentence in END.split(paragraph):
            said = sayable(sentence)
            if said is not None and LEAST_WORDS <= len(said.split()) <= MOST_WORDS:
                found.setdefault(words(said), said)
    counts = Counter(word for text in found for word in text.split())
    common = {word for word, count in counts.items() if count >= LEAST_OCCURRENCES}
    return sorted(said for text, said in found.items() if common.issuperset(text.split()))
