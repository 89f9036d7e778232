"""Which packages a build ships.

Everything else is in pyproject.toml. This one question can't be answered there: `packages.find` looks in one folder,
and the sources of the package `mctc` lie in four top-level ones (`[tool.setuptools.package-dir]` maps them).
"""

from setuptools import find_packages, setup

ROOMS = ("passes", "targets", "spec")

setup(
    packages=[
        *find_packages(include=["mctc", "mctc.*"]),
        *(f"mctc.{room}" for room in ROOMS),
        *(f"mctc.{room}.{package}" for room in ROOMS for package in find_packages(room)),
    ]
)
