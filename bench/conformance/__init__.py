"""The evaluator of Core ML programs against coremltools' own op tests, which are run from where it is installed.

run (the command) · plugin (lets pytest run their tests with mctc's evaluator in the place of Core ML) · engine (that
stand-in) · case (what a test showed) · coverage (docs/evaluator-coverage.md).
"""
