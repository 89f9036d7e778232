"""What runs programs in numpy: `reference` evaluates the IR, `coreml` executes Core ML packages read back from disk.

Neither knows the other, so that each checks the other. Importing this package imports neither.
"""
