"""At which shapes of its inputs a function is judged: the default, the bounds, every listed shape, or those chosen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from math import prod

from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.near import did_you_mean
from mctc.linter.coreml.graph import as_tensor
from mctc.package import Description, Feature, Function
from mctc.records import dataclass

Extents = tuple[int, ...]
DEFAULT, LEAST, GREATEST, LISTED, CHOSEN = "default", "least", "greatest", "listed", "chosen"
LARGEST = 1 << 40
"""An extent that no one means."""
HINT = "such as --shape mel=1x80x1500"


@dataclass(frozen=True)
class Size:
    """Shapes of the inputs that can have several. roles: what it is of them, such as default and least."""

    shapes: Mapping[str, Extents]
    roles: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(f"{name}={shape_text(shape)}" for name, shape in self.shapes.items())

    @property
    def label(self) -> str:
        """'mel=1x80x3000 (default, greatest)'."""
        return labelled(str(self), self.roles)


def labelled(size: str, roles: Sequence[str]) -> str:
    """A size with what it is; that it is listed goes without saying where it is something else."""
    said = [role for role in roles if role != LISTED] or [LISTED]
    return f"{size} ({', '.join(said)})"


@dataclass(frozen=True)
class WantedShape:
    """A shape that the user chose for inputs of this name. source: where, as messages name it."""

    input: str
    shape: Extents
    source: str
    must_exist: bool = True


def shape_text(shape: Iterable[int]) -> str:
    """'1x80x1500'; a scalar is 'scalar'."""
    return "x".join(map(str, shape)) or "scalar"


def read_shapes(given: Iterable[str], source: str = "--shape", *, must_exist: bool = True) -> tuple[WantedShape, ...]:
    """What --shape says: `mel=1x80x1500`, or several with commas between. Raises UsageError."""
    found: dict[str, WantedShape] = {}
    for text in (part.strip() for each in given for part in each.split(",") if part.strip()):
        name, equals, numbers = (part.strip() for part in text.rpartition("="))
        if not equals or not name or not re.fullmatch(r"\d{1,15}(x\d{1,15})*", numbers):
            raise UsageError(f"{source} {text}: not of the form INPUT=EXTENTS", hint=HINT)
        shape = tuple(map(int, numbers.split("x")))
        if not all(0 < extent <= LARGEST for extent in shape):
            raise UsageError(f"{source} {text}: an extent is a number from 1", hint=HINT)
        if name in found:
            raise UsageError(f"{source}: `{name}` is given two shapes", hint="name each input once")
        found[name] = WantedShape(name, shape, f"{source} {text}", must_exist)
    return tuple(found.values())


def check_names(wanted: Sequence[WantedShape], names: Sequence[str]) -> None:
    """Raises UsageError for an input that must exist and isn't among these."""
    for each in wanted:
        if each.must_exist and each.input not in names:
            listed = ", ".join(dict.fromkeys(names)) or "none"
            raise UsageError(
                f"{each.source}: there is no input `{each.input}`",
                hint=did_you_mean(each.input, names) or f"the inputs are {listed}",
            )


def sizes_of(
    function: Function, description: Description | None, wanted: Sequence[WantedShape] = ()
) -> tuple[Size, ...]:
    """The sizes of a function, the one that its report is about first; none where every shape is fixed.

    Inputs that list shapes are taken through their lists together, the first shapes with the first. Raises UsageError
    for a wanted shape that an input can't have.
    """
    inputs = {item.name: as_tensor(item.type) for item in function.inputs}
    described = {feature.name: feature for feature in description.inputs} if description is not None else {}
    flexible = [_Flexible.of(name, type_.shape, described.get(name)) for name, type_ in inputs.items() if type_]
    known = [each for each in flexible if each is not None]
    chosen = {each.input: _chosen(each, known, inputs) for each in wanted if each.input in inputs}
    default = {each.name: each.default for each in known if each.default is not None}
    if any(name in chosen for name in inputs):
        return (Size({**default, **chosen}, (CHOSEN,)),)
    return _merged(_candidates([each for each in known if each.default is not None], default))


@dataclass(frozen=True)
class _Flexible:
    """An input that can have several shapes. default: None where nothing tells one.

    shapes: those listed. ranges: the bounds of each axis, the greatest None where there is none.
    """

    name: str
    default: Extents | None
    shapes: tuple[Extents, ...] = ()
    ranges: tuple[tuple[int, int | None], ...] = ()

    @classmethod
    def of(cls, name: str, declared: tuple[int | None, ...] | None, feature: Feature | None) -> _Flexible | None:
        """None for an input whose shape is fixed."""
        if feature is None or not (feature.flexible or declared is None or None in declared):
            return cls(name, None) if declared is None or None in declared else None
        if feature.kind == "image":
            return cls._image(name, declared, feature)
        stated = feature.type.shape if feature.type is not None else None
        rank = len(declared) if declared is not None else len(stated or feature.ranges)
        ranges = feature.ranges if len(feature.ranges) == rank else ()
        shapes = tuple(each for each in feature.enumerated if len(each) == rank)
        if stated is not None and len(stated) == rank and None not in stated:
            return cls(name, tuple(extent or 0 for extent in stated), shapes, ranges)
        least = tuple(max(low, 1) for low, _ in ranges)
        return cls(name, least or (shapes[0] if shapes else None), shapes, ranges)

    @classmethod
    def _image(cls, name: str, declared: tuple[int | None, ...] | None, feature: Feature) -> _Flexible:
        """Height and width are the last two axes of its tensor."""
        if declared is None or len(declared) < 2 or feature.size is None:
            return cls(name, None)
        front = tuple(1 if extent is None else extent for extent in declared[:-2])
        shapes = tuple((*front, *sides) for sides in feature.enumerated)
        ranges = (*((extent, extent) for extent in front), *feature.ranges) if feature.ranges else ()
        return cls(name, (*front, *feature.size), shapes, ranges)

    def bound(self, greatest: bool) -> Extents:
        """The least or greatest shape; an axis without a bound, and an input without any, keeps the default."""
        assert self.default is not None
        if self.shapes:
            return (max if greatest else min)(self.shapes, key=prod)
        extents = []
        for default, (least, most) in zip_longest(self.default, self.ranges, fillvalue=(None, None)):
            bound = most if greatest else least and max(least, 1)
            extents.append(default if bound is None or bound > LARGEST else max(bound, 1))
        return tuple(extents)  # type: ignore[arg-type]

    def allows(self, shape: Extents) -> str | None:
        """Why it can't have a shape; None where it can."""
        if self.shapes:
            listed = ", ".join(map(shape_text, self.shapes[:8])) + (", ..." if len(self.shapes) > 8 else "")
            return None if shape in self.shapes else f"it takes one of {listed}"
        for axis, (extent, (least, most)) in enumerate(zip(shape, self.ranges)):
            if extent < least or (most is not None and extent > most):
                return f"axis {axis} goes from {least} to {'any extent' if most is None else most}, not {extent}"
        return None


def _chosen(wanted: WantedShape, flexible: Sequence[_Flexible], inputs: Mapping[str, object]) -> Extents:
    """The shape of one input. Raises UsageError where it can't have it."""
    declared = as_tensor(inputs[wanted.input])  # type: ignore[arg-type]
    rank = None if declared is None or declared.shape is None else declared.shape
    known = next((each for each in flexible if each.name == wanted.input), None)
    usual = known.default if known is not None and known.default is not None else rank
    if rank is not None and len(rank) != len(wanted.shape):
        like = shape_text("?" if extent is None else extent for extent in usual or rank)  # type: ignore[misc]
        raise UsageError(
            f"{wanted.source}: `{wanted.input}` has {len(rank)} axes, not {len(wanted.shape)}",
            hint=f"such as --shape {wanted.input}={like}",
        )
    fixed = [(a, extent) for a, extent in enumerate(rank or ()) if extent not in (None, wanted.shape[a])]
    reason = known.allows(wanted.shape) if known is not None else None
    if reason is None and known is None and fixed:
        reason = f"it has the fixed shape {shape_text(extent or 0 for extent in rank or ())}"
    elif reason is None and fixed and not (known is not None and (known.shapes or known.ranges)):
        reason = f"axis {fixed[0][0]} is fixed at {fixed[0][1]}"
    if reason is not None:
        hint = f"such as --shape {wanted.input}={shape_text(usual)}" if usual and None not in usual else None  # type: ignore[arg-type]
        raise UsageError(f"{wanted.source}: `{wanted.input}` can't have this shape: {reason}", hint=hint)
    return wanted.shape


def _candidates(flexible: Sequence[_Flexible], default: Mapping[str, Extents]) -> Iterator[Size]:
    if not flexible:
        return
    yield Size(default, (DEFAULT,))
    yield Size({each.name: each.bound(False) for each in flexible}, (LEAST,))
    lists = [each for each in flexible if each.shapes]
    together = len({len(each.shapes) for each in lists}) == 1
    for group in [lists] if together else [[each] for each in lists]:
        for shapes in zip(*(each.shapes for each in group)):
            yield Size({**default, **{each.name: shape for each, shape in zip(group, shapes)}}, (LISTED,))
    if any(each.shapes or any(most not in (None, least) for least, most in each.ranges) for each in flexible):
        yield Size({each.name: each.bound(True) for each in flexible}, (GREATEST,))


def _merged(sizes: Iterable[Size]) -> tuple[Size, ...]:
    """Each size once, the default first, the others from small to large."""
    found: dict[tuple[tuple[str, Extents], ...], Size] = {}
    for size in sizes:
        key = tuple(size.shapes.items())
        before = found.get(key)
        found[key] = size if before is None else Size(size.shapes, (*before.roles, *size.roles))
    ordered = list(found.values())
    rest = sorted(ordered[1:], key=lambda size: sum(map(prod, size.shapes.values())))
    return tuple(ordered[:1] + rest)
