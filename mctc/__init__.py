"""mctc compiles speech architectures, written once in a small language, into what Apple silicon needs.

The rooms: `language` (text to program), `ir` (typed programs), `rewrite` (passes and pipelines), `evaluate` (numpy
evaluators of programs and of Core ML packages), `package` (reads packages from disk), `audio` and `decode` (speech in,
tokens out), `diagnostics`, `cli`, `plugins`. Beside them, from the top-level folders of the same names: `passes`,
`targets` and `spec`. Importing this package imports none of them.
"""

from __future__ import annotations

from mctc.version import __version__

__all__ = ["__version__"]
