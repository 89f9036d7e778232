"""Makes a synthetic English speech corpus.

    python -m corpus fetch inputs.tar.xz
    python -m corpus make CORPUS --inputs inputs.tar.xz --hours 150 --processes 30

Without --inputs the corpus is espeak-ng's alone (pip install espeakng-loader), with sentences by a grammar.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError

from corpus.fetch import fetch
from corpus.inputs import Inputs, digest, unpacked
from corpus.make import VOICES, make_corpus, refuse_others, summary
from corpus.plan import PERSON, SELECTION, Settings


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "corpus", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(dest="step", required=True)
    fetching = steps.add_parser("fetch", help="get engines, sentences and prompts, and pack them into an archive")
    fetching.add_argument("archive", type=Path, help="a .tar.xz to write")
    fetching.add_argument("--installed", action="store_true", help="Debian's packages are installed: download none")
    fetching.add_argument("--rhvoice", type=Path, metavar="FOLDER", help="RHVoice's library and data: it speaks, too")
    making = steps.add_parser("make", help="speak")
    making.add_argument("folder", type=Path)
    making.add_argument("--inputs", type=Path, help="the archive that fetch wrote")
    making.add_argument("--hours", type=_hours, default=1.0, help="of speech to train with, a person's left aside")
    making.add_argument("--seed", type=_whole(0), default=1)
    making.add_argument("--processes", type=_whole(1), default=os.cpu_count() or 1)
    making.add_argument("--unheard", default="flite:rms", metavar="ENGINE:VOICE", help="a voice that no training has")
    few = "so few are said, in training and tests alike; all where it is left out"
    making.add_argument("--sentences", type=_whole(1), default=0, help=few)
    names = [*VOICES, PERSON, SELECTION]
    making.add_argument("--without", nargs="+", default=[], choices=names, help="who does not speak")
    return parser.parse_args(arguments)


def _whole(least: int) -> Callable[[str], int]:
    """Reads a whole number that is `least` or more."""

    def read(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is not {least} or more")
        return int(text)

    return read


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return hours


def main(arguments: list[str] | None = None) -> None:
    given = parsed(arguments)
    try:
        if given.step == "fetch":
            fetch(given.archive, given.installed, given.rhvoice)
            print(f"{given.archive}: {given.archive.stat().st_size / 1e6:.1f} MB")
            return
        inputs = digest(given.inputs) if given.inputs else ""
        settings = Settings(given.hours, given.seed, given.unheard, given.sentences, tuple(given.without), inputs)
        refuse_others(given.folder, settings)
        root = unpacked(given.inputs, given.folder / f"inputs-{inputs}") if given.inputs else None
        make_corpus(Inputs(root), given.folder, settings, given.processes)
        print(summary(given.folder))
    except (OSError, RuntimeError, ValueError, CalledProcessError) as error:
        sys.exit(f"corpus: {error}")


if __name__ == "__main__":
    main()
