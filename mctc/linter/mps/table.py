"""All rules in one table."""

from __future__ import annotations

from mctc.linter.mps.rule import CodeRule
from mctc.linter.mps.rules import (
    choice,
    complexes,
    device,
    loading,
    losses,
    memory,
    modules,
    numbers,
    operators,
    optimizers,
    reading,
    waits,
)

SUBJECTS = {
    "Files": reading,
    "Device": device,
    "Choice of the device": choice,
    "Number formats": numbers,
    "Losses": losses,
    "Modules": modules,
    "Memory": memory,
    "Waiting for the GPU": waits,
    "Operations": operators,
    "Optimizers": optimizers,
    "Complex numbers": complexes,
    "Data loading": loading,
}
RULES: dict[str, CodeRule] = {rule.code: rule for subject in SUBJECTS.values() for rule in subject.RULES}
NOT_CHECKED = RULES["MPS000"]
