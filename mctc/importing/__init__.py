"""Checkpoints of other libraries under the names of a spec.

name_map.py reads the maps, which are data (maps/*.toml), checkpoint.py the files, plan.py decides for every name what
becomes of it, write.py writes what was decided, a tensor at a time.
"""

from mctc.importing.checkpoint import Checkpoint
from mctc.importing.name_map import NameMap, read_map, shipped_map, shipped_maps
from mctc.importing.plan import ImportPlan, Status, TensorRow, plan
from mctc.importing.write import write

__all__ = [
    "Checkpoint",
    "ImportPlan",
    "NameMap",
    "Status",
    "TensorRow",
    "plan",
    "read_map",
    "shipped_map",
    "shipped_maps",
    "write",
]
