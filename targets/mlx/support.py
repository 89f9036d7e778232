"""The files of the package beside model.py."""

from __future__ import annotations

from pathlib import Path

from mctc.targets.mlx.imports import RUNTIME
from mctc.targets.mlx.module import ModuleText
from mctc.targets.torch.expressions.text import escaped
from mctc.targets.torch.support import RUNTIME as TRAINING

ALWAYS = ("loading",)
KERNELS = {"selective_scan_metal": "selective_scan.metal"}  # training runs it too


def write_package(module: ModuleText, folder: Path, model: str) -> None:
    """Writes model.py, what it imports, and the loader."""
    folder.mkdir()
    (folder / "model.py").write_text(module.text, encoding="utf-8")
    head = f'"""{escaped(model)} in MLX: `load()` gives the model with its weights."""\n\n'
    body = "from .loading import load\nfrom .model import Model\n\n" + '__all__ = ["Model", "load"]\n'
    (folder / "__init__.py").write_text(head + body, encoding="utf-8")
    for name in sorted({*module.siblings, *ALWAYS}):
        (folder / f"{name}.py").write_bytes((RUNTIME / f"{name}.py").read_bytes())
        if name in KERNELS:
            (folder / KERNELS[name]).write_bytes((TRAINING / KERNELS[name]).read_bytes())
