"""mctc compiles speech architectures, written once in a small language, into what Apple silicon needs.

The rooms: `language` (text to program), `ir` (typed programs), `rewrite` (passes and pipelines), `evaluate` (numpy
evaluators of programs and of Core ML packages), `package` (reads packages from disk), `audio`, `decode`, `tokens` and
`transcript` (speech in, words out), `diagnostics`, `cli`, `plugins`. Beside them, from the top-level folders of the
same names: `passes`, `targets` and `spec`. Importing this package imports none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mctc.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from mctc.runtime.model import Model

__all__ = ["__version__", "open"]


def open(  # noqa: A001
    folder: Path | str, arithmetic: str | None = None, weights: Path | str | None = None, precision: str | None = None
) -> Model:
    """The model of a build: `mctc.open("build/mct_small").transcribe(chunks)`. See `mctc.runtime.model.open_model`.

    arithmetic: 'fp32', 'fp16', 'engine', 'engine:h16', ...; precision: how it was called before engines.
    """
    from mctc.runtime.model import open_model

    return open_model(folder, arithmetic or precision, weights)
