"""The files of the package beside model.py."""

from __future__ import annotations

from pathlib import Path

from mctc.targets.mlx.imports import RUNTIME
from mctc.targets.mlx.module import ModuleText
from mctc.targets.torch.expressions.text import escaped
from mctc.targets.torch.support import RUNTIME as TRAINING

ALWAYS = ("loading",)
STREAMS = ("__main__", "audio", "search", "session")  # what hears a stream
# As training has them.
TAKEN = {"selective_scan_metal": ("selective_scan_step.metal", "selective_scan.metal", "selective_scan_plan.py")}


def write_package(module: ModuleText, folder: Path, model: str, *, streams: bool) -> None:
    """Writes model.py, what it imports, and the loader; of a model that streams, a session too."""
    folder.mkdir()
    (folder / "model.py").write_text(module.text, encoding="utf-8")
    head = f'"""{escaped(model)} in MLX: `load()` gives the model with its weights."""\n\n'
    names = ["Model", *(["Session"] if streams else []), "load"]
    session = "from .session import Session\n" if streams else ""
    listed = ", ".join(f'"{name}"' for name in names)
    body = f"from .loading import load\nfrom .model import Model\n{session}\n__all__ = [{listed}]\n"
    (folder / "__init__.py").write_text(head + body, encoding="utf-8")
    for name in sorted({*module.siblings, *ALWAYS, *(STREAMS if streams else ())}):
        (folder / f"{name}.py").write_bytes((RUNTIME / f"{name}.py").read_bytes())
        for file in TAKEN.get(name, ()):
            (folder / file).write_bytes((TRAINING / file).read_bytes())
