"""What mctc is measured by: every row of docs/benchmarks.md, in one command (`python bench/run.py --help`).

run (the command) · environment (a fresh one to measure in) · launch, process (what a process used) · setting (what a
row may use) · row (what it says) · machine, report (the text) · pytest_row (tests as a row) · split_heads (a large
package) · speech (what to feed) · lint_comparison (docs/lint-comparison.md) ·
synthesis, synthetic_set, asterisk_prompts (recordings to score with, by the parts of examples/speech/corpus) ·
rows/ (one file for each kind of measurement) · fuzz/ (random specs through everything, docs/fuzzing.md) ·
trials (kills, interrupts, starves and damages).
"""

import sys
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent / "examples/speech")
)  # for corpus, which is not installed
