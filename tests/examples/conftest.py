"""Packages of examples/ are imported from there."""

from __future__ import annotations

import sys

from tests.conftest import ROOT

sys.path.append(str(ROOT / "examples"))
