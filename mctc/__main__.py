"""`python -m mctc`: the same as the `mctc` command."""

from __future__ import annotations

from mctc.cli.main import main

if __name__ == "__main__":
    main()
