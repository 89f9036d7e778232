"""Names of sources that many rules cite, written out once."""

from __future__ import annotations

DISPATCH = "751K/Apple-Neural-Engine-Microarchitecture-Study-M6 coreml_dispatch.md"
NUMERICS = "751K/Apple-Neural-Engine-Microarchitecture-Study-M6 numerics.md"
DEFECTS = "751K/Apple-Neural-Engine-Microarchitecture-Study-M6 defects.md"
PROBE = "ane-probe EXP-001"
SWEEP = "sbryngelson/ANEForge full_mil_vocabulary_sweep.json"
GUIDE = "sbryngelson/ane-guide"
NEURAL_ENGINE_RULES = "apple/coreai-models neural_engine_rules.md"
FOUR = f"{DISPATCH} (section 3); {PROBE}; {SWEEP}; {GUIDE} appendix A"
"""The four that tested nearly every op."""
