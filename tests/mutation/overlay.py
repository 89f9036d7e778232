"""The sources with one fault in them: a folder of links to the real ones, where the faulty file alone is written anew.

Nothing of the working tree is touched, and what reads a kernel's text beside its module finds the faulty one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from .fault import ROOT, Fault

PACKAGES = {"mctc": "mctc", "mctc.passes": "passes", "mctc.targets": "targets", "mctc.spec": "spec"}


def laid_over(fault: Fault, folder: Path) -> Path:
    """Makes `folder` the root of the repository as it would be with the fault."""
    *parents, name = Path(fault.file).parts
    real, made = ROOT, folder
    for child in (*parents, name):
        for entry in real.iterdir():
            if entry.name != child:
                (made / entry.name).symlink_to(entry)
        real, made = real / child, made / child
        if child != name:
            made.mkdir()
    made.write_text(fault.edited(), encoding="utf-8")
    return folder


class Overlay:
    """An import hook: mctc comes from the sources under `root`, however it is installed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = PACKAGES.get(name)
        if folder is None:
            return None
        place = self.root / folder
        return spec_from_file_location(name, place / "__init__.py", submodule_search_locations=[os.fspath(place)])


def use(root: Path) -> None:
    """Lets this process, which has not imported mctc, import it from `root`. No bytecode of a fault is kept."""
    assert "mctc" not in sys.modules, "mctc is imported already: the fault would come too late"
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, Overlay(root))
