"""Which packages a build ships.

Everything else is in pyproject.toml. This one question can't be answered there: `packages.find` looks in one folder,
and the sources of the package `mctc` lie in four top-level ones (`[tool.setuptools.package-dir]` maps them).
"""

from setuptools import find_namespace_packages, setup

ROOMS = ("passes", "targets", "spec")
NOT_PACKAGES = ["*__pycache__*"]


def inside(room: str) -> list[str]:
    """Packages of a room, folders of data included, by the names that they install under."""
    return [f"mctc.{room}", *(f"mctc.{room}.{each}" for each in find_namespace_packages(room, exclude=NOT_PACKAGES))]


setup(
    packages=[
        *find_namespace_packages(include=["mctc", "mctc.*"], exclude=NOT_PACKAGES),
        *(each for room in ROOMS for each in inside(room)),
    ]
)
