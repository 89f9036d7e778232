"""Writes docs/lint-comparison.md: what `mctc lint` says of a naive package and of mct_small's, side by side.

    python bench/lint_comparison.py PATH/peer_coremltools.py docs/lint-comparison.md

The naive package is the peer's: the same encoder in plain PyTorch, traced and converted by coremltools. Run it with a
Python that has mctc and torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mctc.linter.coreml.formats.words import portion

DEVICE = "m4"
SEVERITIES = ("error", "warning", "performance", "numerics", "info")
HEAD = """# A naive package and mct_small's, side by side

Both are the streaming encoder of mct_small: 80 mel bins, width 256, 8 Mamba blocks, 32 frames a call, fp16. On the left
as a user of plain PyTorch and coremltools writes it: an `nn.Module` with buffers for its states, traced and converted.
On the right as `mctc build` writes it. `mctc lint --device {device}` looked at both; `bench/lint_comparison.py` wrote
this page.

| | naive | mctc |
|---|---|---|
{rows}

Times are estimates with an M4's constants, for CPU and Neural Engine, and no more than that: nothing here ran on a
device. [lint-placement.md](lint-placement.md) says what they were fitted to and how they score. The estimate has no
charge for an op as such, so a program of hundreds of tiny ops looks cheaper on paper than it is; what the table shows
is what decides whether the engine is used at all. Three or more states are what fails on a phone although the plan says
Neural Engine, and most of the naive package hangs on whether the engine takes its 32 reads and writes of states, which
sources disagree about.

## Findings

| rule | | naive | mctc |
|---|---|---|---|
{findings}

The estimate's own words, from `mctc lint --diff`:

```
{difference}
```
"""


def main(peer: Path, page: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        subprocess.run([sys.executable, str(peer.resolve()), "32", "8", "naive.mlpackage"], cwd=work, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        spec = Path(__file__).parent.parent / "spec" / "mct_small.mct"
        run(work, "build", str(spec.resolve()), "--layout", "separate", "-o", "built")
        (work / "built" / "mct_small_encoder.mlpackage").rename(work / "mctc.mlpackage")
        reports = [json.loads(run(work, "lint", name, *OPTIONS, "--format", "json")) for name in PACKAGES]
        difference = run(work, "lint", "--diff", *PACKAGES, *OPTIONS)
    naive, ours = (Side(report) for report in reports)
    shown = difference[: difference.index("\n\nNew:")].strip()
    rows = "\n".join(
        f"| {what} | {one} | {other} |"
        for (what, one), other in zip(naive.rows(), dict(ours.rows()).values(), strict=True)
    )
    page.write_text(
        HEAD.format(device=DEVICE, rows=rows, findings=findings(naive, ours), difference=shown), encoding="utf-8"
    )


PACKAGES = ("naive.mlpackage", "mctc.mlpackage")
OPTIONS = ("--device", DEVICE, "--fail-on", "never")


def run(work: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mctc", *arguments]
    return subprocess.run(command, cwd=work, check=True, text=True, stdout=subprocess.PIPE).stdout


class Side:
    """One package's report."""

    def __init__(self, report: Mapping[str, Any]) -> None:
        self.rules = report["rules"]
        (self.package,) = report["packages"]
        (self.function,) = self.package["functions"]
        self.codes = Counter(finding["code"] for finding in self.package["findings"])

    def rows(self) -> list[tuple[str, str]]:
        kinds = Counter(op["type"] for op in self.function["ops"])
        counts = Counter(finding["severity"] for finding in self.package["findings"])
        memory = self.function["memory"]
        return [
            ("ops", f"{len(self.function['ops'])}"),
            ("transposes", f"{kinds['transpose']}"),
            ("states", f"{len(self.function['states'])}"),
            ("weights, MB", f"{self.package['weight_bytes'] / 1e6:.1f}"),
            ("padded tensors, MB", f"{memory['padded'] / 1e6:.1f}"),
            *((f"{severity} findings", f"{counts[severity]}") for severity in SEVERITIES),
            ("predicted on the Neural Engine, of estimated CPU time", self.share("ane")),
            ("doubtful", self.share("doubtful")),
            ("predicted on the CPU", self.share("cpu")),
            ("estimated saving against all on the CPU, ms", f"{self.function['saving_us'] / 1000:.2f}"),
        ]

    def share(self, where: str) -> str:
        return portion(self.function["shares"][where], self.function["op_counts"][where], len(self.function["ops"]))


def findings(naive: Side, ours: Side) -> str:
    rules = naive.rules | ours.rules
    ordered = sorted(rules, key=lambda code: (SEVERITIES.index(rules[code]["severity"]), code))
    return "\n".join(
        f"| [{code}](lint-rules.md) {rules[code]['summary']} | {rules[code]['severity']} "
        f"| {naive.codes[code] or ''} | {ours.codes[code] or ''} |"
        for code in ordered
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
