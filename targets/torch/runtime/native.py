"""Compiles a C++ source with the system's compiler on first use, and loads it.

The library lies in the user's cache folder under a name that depends on the source, the command, the compiler and the
processor: a changed source, or a home folder that machines share, never meets a library made for something else.
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
        return ctypes.CDLL(str(library(source)))
    except (NativeError, OSError) as error:
        warnings.warn(
            f"{source.name} runs as slower torch operations: {error}. "
            "Install a C++ compiler or name one in CXX; MCTC_NATIVE=0 silences this warning.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def library(source: Path) -> Path:
    """Where the compiled source lies, after compiling it if need be. Raises NativeError.

    It may include headers that lie beside it, and the standard library's.
    """
    text = b"".join(file.read_bytes() for file in (source, *sorted(source.parent.glob("*.h"))))
    complaints = []
    for command in commands():
        try:
            # The predefined macros tell the compiler's version and what the processor can do, in one question.
            macros = _run([*command, "-dM", "-E", "-x", "c++", os.devnull])
            key = hashlib.sha256("\n".join([*command, macros]).encode() + text).hexdigest()[:16]
            built = cache_folder() / f"{source.stem}-{key}.so"
            if not built.exists():
                _compile(command, source, built)
            return built
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
    folder = Path(os.environ.get("XDG_CACHE_HOME") or home).expanduser() / "mctc" / "native"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _private_folder()
    return folder if os.access(folder, os.W_OK) else _private_folder()


@functools.cache
def _private_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="mctc-native-"))


def _compile(command: list[str], source: Path, built: Path) -> None:
    # Written beside and moved into place: of several processes that start at once, each finds a whole library.
    handle, name = tempfile.mkstemp(dir=built.parent, prefix=built.stem, suffix=".part")
    os.close(handle)
    try:
        _run([*command, "-o", name, str(source)])
        Path(name).replace(built)
    finally:
        Path(name).unlink(missing_ok=True)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise NativeError(f"{command[0]}: {error}") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise NativeError(f"{command[0]}: {said[0] if said else f'exit status {done.returncode}'}")
    return done.stdout
