"""Trains word pieces on the texts of manifests.

    python -m speech.pieces MANIFEST ... -o pieces.model [--size 500]

The model's classes are one more, the blank in front: piece i is class i + 1, as `mctc build --tokens` has it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mctc.diagnostics.errors import MctcError
from mctc.score.manifests.read import reader_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, default=Path("pieces.model"))
    parser.add_argument("--size", type=int, default=500)
    given = parser.parse_args()
    import sentencepiece

    try:
        texts = [each.text for path in given.manifests for each in reader_of(path)(path)]
        with given.out.open("wb") as file:
            sentencepiece.SentencePieceTrainer.Train(
                sentence_iterator=iter(texts), model_writer=file, vocab_size=given.size, model_type="unigram",
                character_coverage=1.0, bos_id=-1, eos_id=-1, minloglevel=2,
            )  # fmt: skip
    except (MctcError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {given.out}: {given.size} pieces")
    return 0


if __name__ == "__main__":
    sys.exit(main())
