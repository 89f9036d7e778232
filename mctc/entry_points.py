"""Whether installed packages declare plugins of mctc, found out without the machinery of `importlib.metadata`.

Importing that module and parsing what every package declares costs a tenth of `mctc check`, and most environments have
no plugin.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

FOLDERS = (".dist-info", ".egg-info")
FILE = "entry_points.txt"


def may_have(prefix: str) -> bool:
    """Whether some package may declare entry points in a group that begins with `prefix`, such as `mctc.`.

    True as well where only `importlib.metadata` can tell: packages in archives, or finders of their own.
    """
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        return True
    return any(_declares(entry or ".", f"[{prefix}".encode()) for entry in dict.fromkeys(sys.path))


def _declares(folder: str, group: bytes) -> bool:
    """By names alone: path objects of hundreds of packages take half as long again."""
    try:
        described = [name for name in os.listdir(folder) if name.endswith(FOLDERS)]  # noqa: PTH208
    except NotADirectoryError:
        return True  # an archive
    except OSError:
        return False
    return any(group in _text(os.path.join(folder, name)).replace(b" ", b"") for name in described)  # noqa: PTH118


def _text(described: str) -> bytes:
    """What a package says of its entry points, or a file that is all that describes it."""
    for path in (os.path.join(described, FILE), described):  # noqa: PTH118
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123
                return file.read()
        except OSError:
            continue
    return b""
