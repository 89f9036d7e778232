"""Models that others made: `mctc lint` and the evaluator over a folder of them, counted and compared.

    python bench/run.py --packages FOLDER --rows packages

inputs (what a program is fed) · execute (a program in a process of its own) · by_torch, ops (the same program by
coremltools' reader and torch) · twins (other forms of the same model) · tally (counts).
"""
