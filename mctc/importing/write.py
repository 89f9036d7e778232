"""Writing the parameters of a plan as a safetensors file, a tensor at a time."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mctc.atomic import whole_file
from mctc.importing.plan import ImportPlan
from mctc.ir.program import Program

ALIGNMENT = 8  # of the data, as safetensors' own writer has it


def write(path: Path, program: Program, plan: ImportPlan, metadata: Mapping[str, str]) -> None:
    """Every parameter of `program` in float32, under its own name. The file is written whole or not at all.

    Raises OSError. The plan must be without problems.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, (type_, _) in program.sources.items():
        begin, end = end, end + 4 * math.prod(type_.shape)
        header[name] = {"dtype": "F32", "shape": list(type_.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with whole_file(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in program.sources:
            file.write(plan.value(name).astype("<f4", copy=False).tobytes())
