"""Known miscompiles of Core ML's runtimes, each executable: docs/faults.md."""
