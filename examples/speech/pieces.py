"""Trains word pieces on the texts of manifests.

    python -m speech.pieces MANIFEST ... -o pieces.model [--size 500] [--ends]

The model's classes are one more, the blank in front: piece i is class i + 1, as `mctc build --tokens` has it.
With --ends class 1 begins and class 2 ends a sentence, as decoders with attention ask for.
"""

from __future__ import annotations

from pathlib import Path

import click

from mctc.diagnostics.errors import MctcError
from mctc.score.manifests.read import reader_of


@click.command(help=__doc__)
@click.argument("manifests", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("pieces.model"))
@click.option("--size", default=500)
@click.option("--ends", is_flag=True)
def main(manifests: tuple[Path, ...], out: Path, size: int, ends: bool) -> None:
    import sentencepiece

    try:
        texts = [each.text for path in manifests for each in reader_of(path)(path)]
        with out.open("wb") as file:
            sentencepiece.SentencePieceTrainer.Train(
                sentence_iterator=iter(texts), model_writer=file, vocab_size=size, model_type="unigram",
                character_coverage=1.0, bos_id=-1, eos_id=1 if ends else -1, minloglevel=2,
            )  # fmt: skip
    except (MctcError, OSError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
