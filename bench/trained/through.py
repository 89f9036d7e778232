"""Through noise, at low levels, by telephone, and with utterances that follow one another in one stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.trained.cells import bare, late, markdown, rate
from bench.trained.conditions import CONDITIONS, Condition, manifests
from bench.trained.model import PACKAGE, STORED, Heard, Model, System
from bench.trained.sets import together

Found = Mapping[str, Mapping[str, Sequence[Heard]]]


def table(model: Model) -> str:
    """Words wrong under each condition by onnxruntime, and by the package over the first recordings of some."""
    sampled = [condition for condition in CONDITIONS if condition.sampled]
    found = heard(model, STORED, CONDITIONS, "all")
    slow, fast = (heard(model, system, sampled, "sample", model.asked.sample) for system in (PACKAGE, STORED))
    rows = []
    for condition in CONDITIONS:
        tests, name = found[condition.name], condition.name
        both = " / ".join(bare(together(side[name])) for side in (slow, fast)) if condition.sampled else ""
        rows.append([name, *map(bare, tests.values()), rate(together(tests)), *late(together(tests))[:2], both])
    headings = [
        "",
        *model.sets,
        "all together (95 %)",
        "a word's delay: median",
        "90 %",
        "sample: package / onnxruntime",
    ]
    return "\n".join(
        ["### Conditions: words wrong, int4/int8 weights, streamed by onnxruntime\n", markdown(headings, rows)]
    )


def heard(model: Model, system: System, conditions: Sequence[Condition], key: str, limit: int | None = None) -> Found:
    """All tests under each condition by its name, of each the first recordings; one of each where they are long."""
    asked = {
        (condition.name, test): path
        for condition in conditions
        for test, path in manifests(model, condition, limit if condition.gap_s is None or limit is None else 1).items()
    }
    found = model.heard(
        system, {"\n".join(key): path for key, path in asked.items()}, f"through-{key}-{limit or 'all'}"
    )
    return {
        condition.name: {test: found[f"{condition.name}\n{test}"] for test in model.sets} for condition in conditions
    }
