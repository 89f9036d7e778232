"""What is lost when a build is killed, interrupted, out of disk or not alone, and when a folder is damaged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.process import Command
from bench.row import Row
from bench.setting import Setting

TRIALS, SEED = 300, 0


def rows(setting: Setting) -> list[Row]:
    """Seeded trials of every kind in turn (bench/trials.py), counted."""
    folder = setting.work / "trials"
    folder.mkdir(exist_ok=True)
    command: Command = [setting.python, setting.root / "bench" / "trials.py", folder, str(SEED), str(TRIALS)]
    told: list[dict[str, Any]] = json.loads(setting.run(command).output.splitlines()[-1])
    return [row(told)]


def row(told: Sequence[Mapping[str, Any]]) -> Row:
    """The trials as a row: those in which anything was wrong, and how the commands of each kind ended."""
    wrong = [trial for trial in told if trial["wrong"]]
    internal = sum("internal error" in fault or "Traceback" in fault for trial in wrong for fault in trial["wrong"])
    lost = sum("lost" in fault or "neither" in fault or "gone" in fault for trial in wrong for fault in trial["wrong"])
    ends = {kind: Counter(trial["code"] for trial in told if trial["kind"] == kind) for kind in _kinds(told)}
    note = "; ".join(
        f"{kind}: {', '.join(f'{n} with {code}' for code, n in sorted(c.items()))}" for kind, c in ends.items()
    )
    first = f"; trial {wrong[0]['number']}: {wrong[0]['wrong'][0]}" if wrong else ""
    return Row(
        "kill -9, SIGINT, full disk, two builds at once, damaged folders: internal errors / losses / failed trials",
        "0 / 0 / 0",
        f"{internal} / {lost} / {len(wrong)} of {len(told)}",
        not wrong and len(told) > 0,
        f"exit codes (a signal is negative): {note}{first}",
    )


def _kinds(told: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(trial["kind"] for trial in told))
