"""What a Metal text must not say: rules that no compiler here would hold it to."""

from __future__ import annotations

import re

from mctc.targets.torch.runtime.metal import Parameter, kernel_names, signature

from .front_end import without_comments

FORBIDDEN = {
    r"\bdouble\b": "no Apple GPU has fp64",
    r"\[\[\s*threadgroup\s*\(": "torch.mps can't give a kernel dynamic threadgroup memory",
    r"\batomic": "sums in whatever order the threads come don't repeat bit for bit",
    r"\bif\s+constexpr\b": "Metal has it from version 4 on",
    r"\bgoto\b": "Metal has none",
    r"\b(vertex|fragment|visible|stitchable|ray_data|object_data|threadgroup_imageblock)\b": "a reserved word of Metal",
    r"\bthreadgroup\s+(const\s+)?\w+\s*[*&(]": "threadgroup memory is an array; CUDA has no such pointers",
}
# Metal's attributes that metal.py and the engine know: those of a position come as one number or as three.
POSITIONS = {
    "thread_position_in_threadgroup",
    "threadgroup_position_in_grid",
    "threads_per_threadgroup",
    "threadgroups_per_grid",
}
INDICES = {"thread_index_in_threadgroup", "thread_index_in_simdgroup", "simdgroup_index_in_threadgroup"}
BUFFERS = 31  # entries of a kernel's buffer argument table (Metal feature set tables)


def violations(text: str) -> list[str]:
    """Every rule that the text breaks, with the line."""
    found = [f"line {line_of(text, at)}: {text[at]!r} is not ASCII" for at in non_ascii(text)]
    code = without_comments(text)
    for pattern, why in FORBIDDEN.items():
        found += [f"line {line_of(code, match.start())}: {match[0]!r}: {why}" for match in re.finditer(pattern, code)]
    if found:
        return found
    for kernel in kernel_names(text):
        found += [f"{kernel}: {complaint}" for complaint in signature_violations(signature(text, kernel))]
    return found


def signature_violations(parameters: list[Parameter]) -> list[str]:
    buffers = [parameter for parameter in parameters if parameter.space]
    builtins = [parameter for parameter in parameters if not parameter.space]
    found = [
        f"{parameter.name} is argument {position}, bound as {parameter.attribute}"
        for position, parameter in enumerate(buffers)
        if parameter.attribute != f"buffer({position})"
    ]
    found += [f"{p.name}: unknown attribute {p.attribute}" for p in builtins if p.attribute not in POSITIONS | INDICES]
    found += [
        f"{p.name}: an index is one uint, not {p.type}" for p in builtins if p.attribute in INDICES and p.type != "uint"
    ]
    found += [f"{p.name}: a constant needs an aligned offset; declare it device const" for p in buffers if unaligned(p)]
    if len(buffers) > BUFFERS:
        found.append(f"{len(buffers)} buffers; a kernel has {BUFFERS}")
    if len({p.type for p in builtins if p.attribute in POSITIONS}) > 1:
        found.append("positions have to be all uint or all uint3")
    return found


def unaligned(parameter: Parameter) -> bool:
    return parameter.space == "constant" and parameter.type not in ("int", "uint", "long", "ulong", "float")


def non_ascii(text: str) -> list[int]:
    return [at for at, character in enumerate(text) if not character.isascii()]


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
