"""Entry point of the `mctc` command."""

from __future__ import annotations


def main() -> None:
    print("mctc")
