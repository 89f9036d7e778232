"""The evaluator of Core ML programs against coremltools' own op tests, which are run from where it is installed.

run (the command) · plugin (lets pytest run their tests with mctc's evaluator in the place of Core ML) · engine (that
stand-in) · boxes (one for TensorFlow) · untested_ops (programs of ops that they leave out) · case (what a test
showed) · known (failures that aren't the evaluator's) ·
coverage (by op), page (docs/evaluator-coverage.md) · sample (the few that the test suite runs).
"""
