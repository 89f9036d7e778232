"""`python -m NAME audio.wav`: the text of a recording, as a stream of chunks."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

from .audio import read_wav
from .session import Session


def main(paths: list[str]) -> int:
    """Prints what is said in each WAV file; 2 where there is none, or one that can't be heard."""
    if not paths:
        print("usage: python -m NAME audio.wav ...", file=sys.stderr)
        return 2
    model = None
    for path in paths:
        try:
            session = Session(model=model)
            samples = read_wav(Path(path), session.rate)
        except (wave.Error, EOFError) as error:
            print(f"error: {path} is no WAV file of PCM ({str(error) or 'it ends too soon'})", file=sys.stderr)
            return 2
        except (OSError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        model = session.model
        for start in range(0, len(samples), session.rate):
            session.step(samples[start : start + session.rate])
        print(session.finish())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
