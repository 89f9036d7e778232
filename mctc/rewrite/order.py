"""The order of passes, from what they declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from heapq import heapify, heappop, heappush

from mctc.diagnostics.errors import MctcError
from mctc.diagnostics.near import did_you_mean
from mctc.rewrite.base import Pass

STAGES = ("common", "number", "deploy")


class OrderError(MctcError):
    """Passes whose declared order cannot be met: an unknown name or a cycle."""


def ordered(passes: Iterable[type[Pass]], stage: str) -> list[type[Pass]]:
    """The passes of one stage in an order that meets every `after` and `before`; ties are broken by name.

    Names of passes of other stages are met by the stages themselves. Raises OrderError for an unknown name
    (unless it ends with '?') and for a cycle, naming the passes of both.
    """
    known = {cls.name: cls for cls in passes}
    for name, cls in known.items():
        if cls.stage not in STAGES:
            raise OrderError(f"pass {name} has the stage {cls.stage!r}; there are {' and '.join(STAGES)}")
    before: dict[str, set[str]] = {name: set() for name, cls in known.items() if cls.stage == stage}
    for name, cls in known.items():
        for other, follows in (*((name, True) for name in cls.after), *((name, False) for name in cls.before)):
            target = other.rstrip("?")
            if target not in known:
                if other.endswith("?") or _is_left_out(target):
                    continue
                hint = did_you_mean(target, known)
                raise OrderError(
                    f"pass {_told(name)} wants to run next to {target}, which is not among the passes", hint=hint
                )
            first, second = (target, name) if follows else (name, target)
            _check_stages(known, first, second)
            if known[target].stage == stage and cls.stage == stage:
                before[second].add(first)
    return [known[name] for name in _sorted(before)]


def _sorted(before: Mapping[str, set[str]]) -> list[str]:
    """Names behind all that come before them; of several that could be next, the first by name."""
    sorter, found = TopologicalSorter(before), list[str]()
    try:
        sorter.prepare()
    except CycleError:
        loop = _cycle(before)
        told = " -> ".join(map(_told, [*loop, loop[0]]))
        raise OrderError(f"the order of passes runs in a circle: {told}") from None
    ready = [*sorter.get_ready()]
    heapify(ready)
    while ready:
        found.append(heappop(ready))
        sorter.done(found[-1])
        for name in sorter.get_ready():
            heappush(ready, name)
    return found


def _cycle(before: Mapping[str, set[str]]) -> list[str]:
    """A shortest circle."""
    import networkx  # here, where a graph is searched: to import it costs more than to sort

    graph = networkx.DiGraph((first, second) for second, names in before.items() for first in sorted(names))
    return min(networkx.simple_cycles(graph), key=lambda loop: (len(loop), loop))


def _told(name: str) -> str:
    """The name of a pass, and for one of a plugin where it comes from."""
    from mctc.plugins import DISTRIBUTION, registry

    origin = registry().origin("passes", name)
    return name if origin is None or origin.split()[0] == DISTRIBUTION else f"{name} of {origin}"


def _is_left_out(name: str) -> bool:
    """Whether a pass that isn't among those asked for is mctc's own: one of another stage, which wasn't imported."""
    from mctc.plugins import DISTRIBUTION, registry

    return (registry().origin("passes", name) or "").partition(" ")[0] == DISTRIBUTION


def _check_stages(known: dict[str, type[Pass]], first: str, second: str) -> None:
    if STAGES.index(known[first].stage) > STAGES.index(known[second].stage):
        raise OrderError(
            f"pass {_told(second)} ({known[second].stage}) wants to run after {_told(first)} ({known[first].stage}), "
            f"but {known[first].stage} passes run after all {known[second].stage} ones"
        )
