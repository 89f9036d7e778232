"""Where Core ML would run the ops of a package, against where mctc predicts them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mctc.linter.coreml.agreement import Agreement, agreement
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.export_plan import export
from mctc.linter.coreml.measured import read_plan
from mctc.linter.coreml.table import table
from mctc.package.read import read_package

Export = Callable[[Path, str], dict[str, Any]]
"""What writes a plan: mctc/linter/coreml/export_plan.py on a Mac."""


def placement(package: Path, folder: Path, export: Export = export) -> Agreement:
    """The prediction for a package against its plan, which is written into the folder and read as anybody's."""
    plan = folder / "plan.json"
    plan.write_text(json.dumps(export(package, "cpuAndNeuralEngine")), encoding="utf-8")
    return agreement(check_package(read_package(package), table().rules.values()), read_plan(plan))
