"""How the names of sound files end: what of a folder is heard, or told why not."""

from __future__ import annotations

from mctc.audio.container.foreign import ENDINGS

READ = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64", ".rf64", ".sph",
    ".voc", ".gsm", ".vox",
)  # fmt: skip
SOUND = (*READ, *ENDINGS)
"""Those that can't be read too, so that none of them is left out in silence."""
