"""The coreai target: a program's step functions as one Core AI asset (.aimodel), for iOS and macOS 27.

target (what the registry finds) · asset (the folder on disk) · function (one IR function as a graph) · rules (IR ops as
Core AI ops) · constants (weights) · dialect (all that lies below coreai's public API) · places (lines of the spec) ·
graphs (an asset's graphs, read back) · neural_engine (what the Neural Engine wants of them) · engine (running an
asset) · readback (comparing it with its program) · library (is coreai there?).
Only `target` and `library` can be imported where coreai is not installed.
"""
