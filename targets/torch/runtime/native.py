"""Compiles a C++ source with the system's compiler on first use, and loads it.

The library lies in the user's cache folder under a name that depends on the source, the command, the compiler and the
processor: a changed source, or a home folder that machines share, never meets a library made for something else. The
name ends in the digest of the library itself: one that was cut short or replaced is never loaded, but made again.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

COMPILERS = ("c++", "g++", "clang++")  # asked for in this order, after the one that CXX names

# No -ffast-math: infinities and NaN of a diverging training run must stay what they are.
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared", "-pthread", "-w")

# Compiled for this very processor where the compiler can tell which one it is.
TUNING: tuple[tuple[str, ...], ...] = (("-march=native",), ())


class NativeError(RuntimeError):
    """No compiler was found, or none could compile the source; the message says what each complained about."""


@functools.cache
def load(source: Path) -> ctypes.CDLL | None:
    """The library of a C++ source that exports C functions, compiled once a machine and loaded once a process.

    None, with one warning, where it can't be compiled; None without a warning where the environment has
    MCTC_NATIVE=0. The caller then takes its own slower way.
    """
    if os.environ.get("MCTC_NATIVE") == "0":
        return None
    try:
        return _loaded(source)
    except (NativeError, OSError) as error:
        warnings.warn(
            f"{source.name} runs as slower torch operations: {error}. "
            "Install a C++ compiler or name one in CXX; MCTC_NATIVE=0 silences this warning.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def _loaded(source: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(library(source)))
    except OSError:  # whole, and yet not loaded: the folder may not hold programs
        return ctypes.CDLL(str(library(source, _private_folder())))


def library(source: Path, folder: Path | None = None) -> Path:
    """Where the compiled source lies, after compiling it if need be. Raises NativeError.

    It may include headers that lie beside it, and the standard library's. `folder` is the cache if None.
    """
    folder = folder or cache_folder()
    text = b"".join(file.read_bytes() for file in (source, *sorted(source.parent.glob("*.h"))))
    complaints = []
    for command in commands():
        try:
            # The predefined macros tell the compiler's version and what the processor can do, in one question.
            macros = _run([*command, "-dM", "-E", "-x", "c++", os.devnull])
            key = hashlib.sha256("\n".join([*command, macros]).encode() + text).hexdigest()[:16]
            name = f"{source.stem}-{key}"
            return _found(folder, name) or _compile(command, source, folder, name)
        except NativeError as error:
            complaints.append(str(error))
    raise NativeError("; ".join(dict.fromkeys(complaints)) or "no C++ compiler (CXX, " + ", ".join(COMPILERS) + ")")


def commands() -> Iterator[list[str]]:
    """The compilers of this machine with their flags, best first."""
    named = shlex.split(os.environ.get("CXX", ""))
    for compiler in ([named] if named else []) + [[name] for name in COMPILERS]:
        if shutil.which(compiler[0]):
            for tuning in TUNING:
                yield [*compiler, *FLAGS, *tuning]


def cache_folder() -> Path:
    """The user's own cache, or a folder of this process alone where that can't be written."""
    home = {"Darwin": "~/Library/Caches"}.get(platform.system(), "~/.cache")
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or home).expanduser() / "mctc" / "native"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return _private_folder()
    return folder if os.access(folder, os.W_OK) else _private_folder()


@functools.cache
def _private_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="mctc-native-"))


def _found(folder: Path, name: str) -> Path | None:
    """The library of a name that is whole. What else has the name is removed, if it can be."""
    for path in sorted(folder.glob(f"{name}-*.so")):
        with suppress(OSError):
            if path.stem == f"{name}-{_digest(path)}":
                return path
            path.unlink()
    return None


def _compile(command: list[str], source: Path, folder: Path, name: str) -> Path:
    # Written beside and moved into place: of several processes that start at once, each finds a whole library.
    try:
        handle, part = tempfile.mkstemp(dir=folder, prefix=name, suffix=".part")
        os.close(handle)
        try:
            _run([*command, "-o", part, str(source)])
            return Path(part).replace(folder / f"{name}-{_digest(Path(part))}.so")
        finally:
            Path(part).unlink(missing_ok=True)
    except OSError as error:  # a folder that can't be written after all, or something else in the library's place
        if folder == _private_folder():
            raise NativeError(f"{folder}: {error.strerror}") from None
        return _compile(command, source, _private_folder(), name)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise NativeError(f"{command[0]}: {error}") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise NativeError(f"{command[0]}: {said[0] if said else f'exit status {done.returncode}'}")
    return done.stdout
