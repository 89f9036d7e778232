"""`python -m docs.site [FOLDER]` builds the docs site into build/site, or FOLDER, and checks every link of it.

Exits with 1 when Sphinx warns of anything or a link is dead. Needs the `docs` extra, and no network.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from docs.site.links import dead_links
from docs.site.navigation import ROOT
from docs.site.stage import stage


def main(arguments: list[str]) -> int:
    out = Path(arguments[0]) if arguments else ROOT / "build/site"
    with tempfile.TemporaryDirectory() as scratch:
        count = stage(Path(scratch, "pages"))
        shutil.rmtree(out, ignore_errors=True)
        code = sphinx(Path(scratch, "pages"), out, Path(scratch, "doctrees"))
    if code:
        return code
    dead = dead_links(out)
    for each in dead:
        print(each, file=sys.stderr)
    print(f"{count} pages in {out}, {len(dead)} dead links")
    return 1 if dead else 0


def sphinx(pages: Path, out: Path, doctrees: Path) -> int:
    """Runs Sphinx over the pages, a warning being an error. Returns its exit code."""
    from sphinx.cmd.build import build_main

    settings = ["-c", str(Path(__file__).parent), "-d", str(doctrees)]
    return int(build_main(["-b", "html", "-W", "--keep-going", "-q", "-j", "2", *settings, str(pages), str(out)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
