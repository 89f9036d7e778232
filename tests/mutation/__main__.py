"""Seeds faults and tells what the checks say: those named, those of a file or folder, or all when nothing is named."""

from __future__ import annotations

import sys

from .faults import FAULTS
from .runner import PASSED, runner


def main(names: list[str]) -> int:
    chosen = [fault for fault in FAULTS if not names or any(n == fault.name or fault.file.startswith(n) for n in names)]
    missed = 0
    with runner() as forks:
        control = forks.outcome(sorted({fault.caught_by for fault in chosen}))
        if control.code != PASSED:
            print(f"without any fault: {control.text}")
            return 1
        for fault in chosen:
            outcome = forks.outcome([fault.caught_by], fault)
            missed += not outcome.caught
            mark = "caught" if outcome.caught else "MISSED"
            print(f"{mark} {outcome.seconds:5.1f} s  {fault.name}: {outcome.reason}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
