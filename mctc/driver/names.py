"""What things of a program are called: in artifacts, by letters, digits and underscores; in messages, with places."""

from __future__ import annotations

import re
from collections import Counter

from mctc.driver.options import BuildError
from mctc.ir.program import Function, Op

SAMPLES = "samples"  # an input of samples, some of them a frame
STATE_OUT = "_out"  # what the name of a state's new value ends with where states are inputs and outputs
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_]")


def identifier(text: str) -> str:
    """`text` as an identifier: 'layers.0.h' becomes 'layers_0_h'. Two texts can become one identifier: see Names."""
    name = text.replace(".", "_")
    if name.isascii() and name.isidentifier():
        return name
    name = _FORBIDDEN.sub("_", text)
    return name if name and not name[0].isdigit() else f"_{name}"


def op_name(op: Op) -> str:
    """What an op is called before it is told apart from its like: its instance path and its kind."""
    return identifier(f"{op.origin.path}.{op.name}" if op.origin.path else op.name)


def place(op: Op) -> str:
    """'layer_norm of encoder.norm (model.mct:12:9)'."""
    where = f" of {op.origin.path}" if op.origin.path else ""
    return f"{op.name}{where}{f' ({op.origin.location})' if op.origin.location else ''}"


def taken_twice(function: Function, state: str) -> list[str]:
    """Names that two inputs, results or states of a function would have in an artifact.

    state: as of BuildOptions; 'packed' states are one, whose name gives way to the others.
    """
    names = [identifier(value.name) for value in function.inputs] + [identifier(name) for name, _ in function.results]
    states = [] if state == "packed" else [identifier(each.name) for each in function.states]
    names += states + ([name + STATE_OUT for name in states] if state == "io" else [])
    return sorted(name for name, count in Counter(names).items() if count > 1)


class Names:
    """Gives out identifiers of one function, each once. The same questions in the same order get the same answers."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def reserve(self, name: str) -> str:
        """Takes `name` as it is. Raises BuildError when it is taken."""
        if name in self._taken:
            raise BuildError(
                f"two inputs, states or results are called `{name}` in the artifact", hint="rename one of them"
            )
        self._taken.add(name)
        return name

    def fresh(self, wanted: str) -> str:
        """`wanted`, or `wanted_1`, `wanted_2`, ... when it is taken."""
        name, count = wanted, self._next.get(wanted, 0)
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._next[wanted] = count
        self._taken.add(name)
        return name
