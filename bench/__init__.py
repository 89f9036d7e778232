"""What mctc is measured by: every row of docs/benchmarks.md, in one command (`python bench/run.py --help`).

run (the command) · environment (a fresh one to measure in) · launch, process (what a process used) · setting (what a
row may use) · row (what it says) · machine, report (the text) · pytest_row (tests as a row) · split_heads (a large
package) · speech (what to feed) · lint_comparison (docs/lint-comparison.md) ·
rows/ (one file for each kind of measurement).
"""
