"""Literals of MIL text: kept as text, made values when asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from mctc.package.dtypes import DTYPES, DType
from mctc.package.errors import PackageError
from mctc.package.inline import known_shape
from mctc.package.place import Place
from mctc.package.types import TensorType
from mctc.records import dataclass

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([\s\S]))")
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_LONGEST = 400
"""Characters of one number: more than any double has in decimals, too few for a slow conversion."""


def unquoted(text: str) -> str:
    """The string that a literal with its quotes stands for."""
    inner = text[1:-1]
    return _ESCAPE.sub(_escaped, inner) if "\\" in inner else inner


def _escaped(match: re.Match[str]) -> str:
    code, character = match.groups()
    return chr(int(code, 16)) if code else _PLAIN.get(character, character)


def count(numbers: str) -> int:
    """How many numbers a text separated by commas holds."""
    return numbers.count(",") + 1 if numbers and not numbers.isspace() else 0


@dataclass(frozen=True, eq=False)
class Written:
    """A tensor's numbers as text, separated by commas; their number was checked when they were read."""

    numbers: str
    type: TensorType
    where: Place

    @property
    def stored_bytes(self) -> int:
        """Nothing in a weight file."""
        return 0

    def load(self) -> Any:
        """Reads the numbers. Raises PackageError when one is none, or none that the type can hold."""
        if self.type.dtype not in DTYPES:
            raise PackageError(f"{self.where}: values of {self.type} can't be read, its element type isn't known")
        dtype = DTYPES[self.type.dtype]
        read = _reader(dtype)
        parts = self.numbers.split(",") if count(self.numbers) else []
        try:
            values = [read(part.strip()) for part in parts]
            with np.errstate(over="ignore"):  # beyond fp16 is infinity, as everywhere
                return np.asarray(values, _wide(dtype)).astype(dtype.holder).reshape(known_shape(self.type))
        except (ValueError, OverflowError, KeyError) as error:
            raise PackageError(f"{self.where}: {self.type} can't be read ({error})") from error


def _reader(dtype: DType) -> Callable[[str], Any]:
    if dtype.holder.kind == "b":
        return {"true": True, "false": False}.__getitem__
    if dtype.is_float:
        return _float
    low, high = (-(1 << dtype.bits - 1), (1 << dtype.bits - 1) - 1) if dtype.signed else (0, (1 << dtype.bits) - 1)

    def integer(text: str) -> int:
        value = int(_short(text))
        if not low <= value <= high:
            raise ValueError(f"{value} doesn't fit")
        return value

    return integer


def _float(text: str) -> float:
    return float.fromhex(_short(text)) if "x" in text else float(_short(text))


def _short(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"a number of {len(text)} characters")
    return text


def _wide(dtype: DType) -> Any:
    return np.float64 if dtype.is_float else dtype.holder
