"""Names of a checkpoint that a wrapper of the model has changed: `module.encoder.norm`, `encoder._orig_mod.norm`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Set

from mctc.checkpoint import WeightsError
from mctc.records import dataclass

# DistributedDataParallel and DataParallel; torch.compile; FSDP; activation checkpointing; averaged weights.
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})


@dataclass(frozen=True)
class Unwrapped:
    """names: of the file's tensors, by what they are called without the wrappers. left_out: what those had added."""

    names: Mapping[str, str]
    left_out: tuple[str, ...]


def unwrapped(wanted: Set[str], found: Set[str], path: object = "the checkpoint") -> Unwrapped:
    """The tensors of a file under the names that a program wants, where they have those but for a wrapper.

    A wrapper's part may stand anywhere in a name. A prefix that all wanted names lack may be anything, as Lightning's
    `model.`. Names stay as they are where that finds no more of the wanted ones. Raises WeightsError where several
    prefixes would do: the file then holds the model more than once.
    """
    plain = Unwrapped({name: name for name in found}, ())
    if wanted <= found:
        return plain
    inside = {".".join(part for part in name.split(".") if part not in WRAPPERS): name for name in found}
    if len(inside) != len(found):
        return plain
    parts = {part for name in found for part in name.split(".") if part in WRAPPERS}
    prefix = _prefix(wanted, inside, path)
    names = {name.removeprefix(prefix): of_file for name, of_file in inside.items()}
    if len(names) != len(found) or len(names.keys() & wanted) <= len(found & wanted):
        return plain
    left_out = (*sorted(f"{part}." for part in parts), *([prefix] if prefix else []))
    return Unwrapped(names, left_out)


def _prefix(wanted: Set[str], found: Collection[str], path: object) -> str:
    """What stands before most of the wanted names."""
    before: Counter[str] = Counter()
    for name in found:
        parts = name.split(".")
        ends = (".".join(parts[at:]) for at in range(len(parts)))
        before.update(name.removesuffix(end) for end in ends if end in wanted)
    most = max(before.values(), default=0)
    best = sorted(prefix for prefix, count in before.items() if count == most)
    if len(best) > 1 and most == len(wanted):
        several = " and ".join(f"`{prefix}`" for prefix in best)
        hint = "save the state_dict of the one that is meant"
        raise WeightsError(f"{path} holds the model more than once, behind {several}", hint=hint)
    return best[0] if best else ""
