"""Imports the files of the torch side from a folder, as a package of their own: mctc needn't be installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

RUNTIME = Path(__file__).resolve().parents[2] / "targets/torch/runtime"


def import_from(folder: Path, package: str, module: str) -> ModuleType:
    """`module` of `folder`, which is imported as `package`; the modules of one package see each other.

    `folder` is the source's own runtime folder or the `training/` folder of a build.
    """
    if not (folder / f"{module}.py").is_file():
        raise SystemExit(f"{folder} has no {module}.py: name the training/ folder of a build, or targets/torch/runtime")
    if package not in sys.modules:
        init = folder / "__init__.py"
        place = str(init) if init.is_file() else None
        spec = importlib.util.spec_from_file_location(package, place, submodule_search_locations=[str(folder)])
        if spec is None:  # no __init__.py: a namespace package
            spec = importlib.util.spec_from_loader(package, None, is_package=True)
            assert spec is not None
            spec.submodule_search_locations = [str(folder)]
        sys.modules[package] = importlib.util.module_from_spec(spec)
        if spec.loader is not None:
            spec.loader.exec_module(sys.modules[package])
    return importlib.import_module(f"{package}.{module}")
