"""What an emitted package and its parts are called."""

from __future__ import annotations

import re

from mctc.records import dataclass

OWN = frozenset((
    "Accelerate", "AVFoundation", "Any", "CoreML", "Foundation", "Model", "Protocol", "Self", "Source", "Speech",
    "Swift", "SwiftUI", "Synchronization", "Training", "Type",
))  # fmt: skip
"""Modules and types that a module of the same name would hide, and a build's own folders where case is ignored."""
IMPORTS = re.compile(r"(?:^ *import \w+\n)+", re.MULTILINE)


@dataclass(frozen=True)
class Names:
    """module: of the library, and of the package. product: the command-line tool."""

    module: str
    product: str

    @classmethod
    def of(cls, model: str) -> Names:
        """From a model's name: mct_small becomes MctSmall and mct-small, whisper Whisper and whisper-cli."""
        words = [word for word in re.split(r"[^A-Za-z0-9]+", model) if word]
        module = "".join(word[0].upper() + word[1:] for word in words) or "Recognizer"
        if module[0].isdigit() or module in OWN:
            module = f"Model{module}"
        product = "-".join(word.lower() for word in words) or "recognizer"
        # A Mac's disk usually ignores case: Sources/Whisper and Sources/whisper would be one folder of two targets.
        return cls(module, f"{product}-cli" if product == module.lower() else product)

    def filled(self, text: str) -> str:
        """A text of `templates` with the names in their places, and imports in order, as swift-format has them."""
        filled = text.replace("__MODULE__", self.module).replace("__PRODUCT__", self.product)
        return IMPORTS.sub(lambda found: "".join(sorted(found[0].splitlines(keepends=True))), filled)
