"""README.md of the folder: the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mctc.driver.compiled import Compiled
from mctc.targets.mlx.module import ModuleText
from mctc.targets.torch.expressions.text import escaped


def card(compiled: Compiled, module: ModuleText, package: str, config: Mapping[str, Any]) -> str:
    """What a reader of the model's page has to know: what it is, how it is stored, how it is run."""
    count = sum(type_.size for type_, _ in compiled.whole.sources.values())
    quantized = config.get("quantization", {})
    layers = [value for value in quantized.values() if isinstance(value, dict)]
    bits = ", ".join(f"{sum(v['bits'] == n for v in layers)} in {n} bits" for n in sorted({v["bits"] for v in layers}))
    stored = f"fp16; linear layers {bits} (affine codes, a scale a row)" if layers else "fp16"
    components = "\n".join(f"| `{name}` | {_told(each)} |" for name, each in config["components"].items())
    return CARD.format(
        name=escaped(compiled.whole.name), package=package, cls=module.name, count=f"{count / 1e6:,.1f}",
        stored=stored, components=components,
    )  # fmt: skip


def _told(component: Mapping[str, Any]) -> str:
    called = component["whole"]
    taken, given = (", ".join(f"{p['name']} {p['shape']}" for p in called[kind]) for kind in ("inputs", "outputs"))
    steps = component["steps"].values()
    chunk = "".join(f"; steps of {step['chunk_frames']}, {len(step['states'])} states" for step in steps)
    return f"{taken} to {given}{chunk}"


CARD = """---
library_name: mlx
tags: [mlx, automatic-speech-recognition]
---

# {name}

{count} million parameters, stored in {stored}. Made by mctc: `{package}/model.py` is the model (`{cls}`), a class
for each block of its spec, with channels last.

| component | takes and gives |
|---|---|
{components}

```python
from {package} import load

model = load()  # fp32; load(dtype=mx.float16) computes in half of it
```
"""
