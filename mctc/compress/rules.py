"""A `quantize` section that a person can read, from the form of each weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mctc.compress.errors import CompressError
from mctc.ir.path_pattern import matches
from mctc.ir.program import Quantization, QuantizeRule

Form = Quantization | None
Forms = Mapping[str, Form]
WEIGHT = ".weight"  # which a pattern may leave off


def rules_of(forms: Forms) -> list[QuantizeRule]:
    """Rules of which the first that matches each name has its form: exceptions by round of a repeat, then one rule for
    what has the same place in every round, then for each component the form that most of the rest has."""
    exceptions: dict[str, Form] = {}
    usual: dict[str, Form] = {}
    for template, names in _by_template(forms).items():
        counts = Counter(forms[name] for name in names)
        usual[template] = counts.most_common(1)[0][0]
        for form in counts:
            if form != usual[template]:
                apart = _listed(template, [name for name in names if forms[name] == form])
                exceptions |= dict.fromkeys(apart, form)
    rest: dict[str, Form] = {}
    for component in dict.fromkeys(template.partition(".")[0] for template in usual):
        inside = {name: form for name, form in usual.items() if name.partition(".")[0] == component}
        most = Counter(inside.values()).most_common(1)[0][0]
        usual = {name: form for name, form in usual.items() if name not in inside or form != most}
        rest[f"{component}.**"] = most
    found = [QuantizeRule(pattern, form) for pattern, form in [*exceptions.items(), *_joined(usual), *rest.items()]]
    _check(found, forms)
    return found


def text_of(rules: Sequence[QuantizeRule], indent: str = "    ") -> str:
    """The section as it stands in a model."""
    lines = [f"{indent}    {rule.pattern}: {written(rule.quantization)}" for rule in rules]
    return "\n".join(["quantize {", *lines, f"{indent}}}"])


def written(form: Form) -> str:
    """As the language has it: int8(per_channel), palette(bits = 3, group = 16), none."""
    if form is None:
        return "none"
    if form.scheme != "palette":
        activations = f", activations = {form.activations}" if form.activations else ""
        return f"{form.scheme}(per_channel{activations})"
    return f"palette(bits = {form.bits}" + (f", group = {form.group})" if form.group else ")")


def _by_template(names: Forms) -> dict[str, list[str]]:
    """Names by what is left of them with `*` for numbers."""
    found: dict[str, list[str]] = {}
    for name in names:
        elements = name.removesuffix(WEIGHT).split(".")
        found.setdefault(".".join("*" if each.isdigit() else each for each in elements), []).append(name)
    return found


def _listed(template: str, names: Sequence[str]) -> list[str]:
    """Patterns for some of a template's names: one with their numbers where it has one `*`, else one for each."""
    short = [name.removesuffix(WEIGHT) for name in names]
    if len(short) == 1 or template.count("*") != 1:
        return short
    elements = template.split(".")
    at = elements.index("*")
    elements[at] = "{" + ", ".join(name.split(".")[at] for name in short) + "}"
    return [".".join(elements)]


def _joined(usual: Forms) -> list[tuple[str, Form]]:
    """Templates that differ in their last element alone and have the same form, as one."""
    groups: dict[tuple[str, Form], list[str]] = {}
    for template, form in usual.items():
        parent, _, last = template.rpartition(".")
        groups.setdefault((parent, form), []).append(last)
    return [
        (f"{parent}.{last[0] if len(last) == 1 else '{' + ', '.join(last) + '}'}".removeprefix("."), form)
        for (parent, form), last in groups.items()
    ]


def _check(rules: Sequence[QuantizeRule], forms: Forms) -> None:
    for name, form in forms.items():
        found = next((rule for rule in rules if matches(rule.pattern, name)), None)
        if found is None or found.quantization != form:
            raise CompressError(f"no pattern tells {name} from the others", hint="name the parts of the spec apart")
