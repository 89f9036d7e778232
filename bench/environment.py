"""A fresh environment that holds mctc as a user has it: a wheel of this tree, compiled when it is installed.

The libraries are those of the Python that runs the benchmark. Its own mctc stays out, and with it what an editable
install costs at start.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

SOURCES = ("mctc", "passes", "targets", "spec", "pyproject.toml", "setup.py", "README.md", "LICENSE")
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")
LEFT_OUT = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME")


def variables() -> dict[str, str]:
    """The environment variables of everything measured: one thread for linear algebra, compiled modules kept."""
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    return {**kept, **dict.fromkeys(ONE_THREAD, "1")}


def make_environment(root: Path, work: Path) -> Path:
    """Makes it in `work` and returns its Python."""
    copy, folder = work / "tree", work / "environment"
    for name in SOURCES:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(source, copy / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(work), str(copy)], check=True, env=variables()
    )
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (wheel,) = work.glob("*.whl")
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    site.mkdir(parents=True, exist_ok=True)
    shared = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "libraries.pth").write_text("\n".join(shared) + "\n", encoding="utf-8")
    install = ["install", "--no-deps", "--no-index", "--ignore-installed", "--compile", str(wheel)]
    subprocess.run([str(python), "-m", "pip", "--quiet", *install], check=True, env=variables())
    return python
