"""How long the specs are."""

from __future__ import annotations

import re
from pathlib import Path

from bench.row import Row
from bench.setting import Setting

IMPORT = re.compile(r'^\s*import\s+"([^"]+)"', re.MULTILINE)
PRELUDE = "lib/nn.mct"  # what every spec sees without an import
MODEL, VARIANT = 120, 5


def rows(setting: Setting) -> list[Row]:
    """Lines that hold more than a comment."""
    folder = setting.small.parent
    files = [*imported(setting.small), folder / PRELUDE]
    each = {file.name: code_lines(file) for file in files}
    variant = code_lines(folder / "mct_tiny.mct")
    total = sum(each.values())
    return [
        Row(
            "lines of spec/mct_small.mct with its library blocks / a variant of another size",
            f"≤ {MODEL} / ≤ {VARIANT}",
            f"{total} / {variant}",
            total <= MODEL and variant <= VARIANT,
            "lines with code: " + ", ".join(f"{name} {count}" for name, count in each.items()),
        )
    ]


def imported(spec: Path) -> list[Path]:
    """The file and everything that it imports, each once."""
    found, waiting = [], [spec.resolve()]
    while waiting:
        file = waiting.pop(0)
        if file not in found:
            found.append(file)
            names = IMPORT.findall(file.read_text(encoding="utf-8"))
            waiting += [(file.parent / name).resolve() for name in names]
    return found


def code_lines(file: Path) -> int:
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)
