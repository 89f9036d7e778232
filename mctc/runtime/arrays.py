"""Arrays through any function of any Core ML package: npy and npz files in, npz or npy out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.npyio import NpzFile

from mctc.atomic import whole_file
from mctc.diagnostics.errors import MctcError
from mctc.diagnostics.near import did_you_mean, listing
from mctc.driver.engine import Executable
from mctc.driver.target import Target, target_named
from mctc.ir.op import Array
from mctc.linter.coreml.places import components_of
from mctc.plugins import registry
from mctc.runtime.fed import refuse_fed


class ArraysError(MctcError):
    """Files that do not fit the function; names the file or the input."""


class Ran(NamedTuple):
    """Outputs and new states by name; of a classifier, the labels of each output that has probabilities."""

    outputs: dict[str, Array]
    states: dict[str, Array]
    labels: Mapping[str, Sequence[str]]


def run_arrays(
    package: Path,
    inputs: Sequence[str],
    *,
    function: str | None = None,
    state: Path | None = None,
    precision: str | None = None,
) -> Ran:
    """One call of a function.

    function: its name in the package or, beside the manifest of its build, that of its component.
    inputs: 'x.npy' for a function of one input, 'name=x.npy', or 'all.npz'. state: an npz of states by name; zeros
    where it says nothing. Raises ArraysError, FedError for an entry that the manifest beside the package rules out,
    and what the package's runtime raises.
    """
    components = components_of(package)
    stored = {component: name for name, component in components.items()}
    with _called(components):
        return _run(package, inputs, stored.get(function, function) if function else None, state, precision)


@contextmanager
def _called(components: Mapping[str, str]) -> Iterator[None]:
    """Errors name a function as its spec does: `main` is what Core ML calls one that is alone."""
    try:
        yield
    except MctcError as error:
        for name, component in components.items():
            error.message = error.message.replace(f"function '{name}'", f"function '{component}'")
        raise


def _run(package: Path, inputs: Sequence[str], function: str | None, state: Path | None, precision: str | None) -> Ran:
    target = target_of(package)
    compiled = target.engine(package, precision or target.forms["precision"][0]).function(function)
    given = read_inputs(inputs, compiled)
    refuse_fed(package, compiled.name, given)
    held = compiled.make_state()
    if state is not None:
        for name, array in read_npz(state).items():
            if name not in held:
                hint = did_you_mean(name, held) or (f"there are {listing(held)}" if held else None)
                raise ArraysError(f"{state}: function '{compiled.name}' has no state `{name}`", hint=hint)
            held[name] = array
    outputs = compiled(given, held if compiled.states else None)
    return Ran(outputs, {name: held[name] for name in held}, getattr(compiled, "labels", {}))


def target_of(artifact: Path) -> Target:
    """The target that writes artifacts of this name's ending; Core ML's for anything else."""
    targets = [target_named(name) for name in registry().names("targets")]
    found = [target for target in targets if target.suffix is not None and artifact.name.endswith(target.suffix)]
    return found[0] if found else target_named("ane")


def read_inputs(files: Sequence[str], compiled: Executable) -> dict[str, Array]:
    """The arrays that the arguments name, by input. Raises ArraysError, also where two are for one input."""
    names = [item.name for item in compiled.inputs]
    given: dict[str, Array] = {}
    for text in files:
        name, equals, file = text.partition("=")
        if equals and name in names:
            found = {name: read_npy(Path(file))}
        elif text.endswith(".npz") and not (equals and Path(file).exists()):
            found = read_npz(Path(text))
        elif len(names) == 1 and (not equals or Path(text).exists()):
            found = {names[0]: read_npy(Path(text))}
        else:
            raise ArraysError(
                f"{text}: which input is it? function '{compiled.name}' takes {listing(names)}",
                hint=f"for example --input {names[0] if names else 'x'}={file or text}",
            )
        if twice := sorted(given.keys() & found.keys()):
            raise ArraysError(f"{text}: input `{twice[0]}` is given twice")
        given |= found
    return given


def read_npy(path: Path) -> Array:
    """The array of an npy file; pickles are refused."""
    array = _loaded(path, f"{path} holds no array", "numpy.save writes one", lambda loaded: loaded)
    if not isinstance(array, np.ndarray):
        raise ArraysError(f"{path} holds several arrays", hint="give a file that ends in .npz")
    return _numbers(array, path)


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of an npz file by name."""
    arrays: dict[str, Array] = _loaded(
        path,
        f"{path} is no npz file of arrays",
        "numpy.savez writes one",
        lambda file: {n: file[n] for n in file.files},
    )
    return {name: _numbers(array, path) for name, array in arrays.items()}


def _numbers(array: Array, path: Path) -> Array:
    if array.dtype.kind not in "fiub":
        raise ArraysError(f"{path} holds an array of {array.dtype}, where real numbers belong")
    return array


def _loaded(path: Path, problem: str, hint: str, read: Callable[[Any], Any]) -> Any:
    """What `read` makes of a file that numpy has opened. Raises ArraysError for whatever is wrong with the file."""
    if path.exists() and not path.is_file():
        raise ArraysError(f"{path} is no regular file")
    try:
        loaded = np.load(path, allow_pickle=False)
        with loaded if isinstance(loaded, NpzFile) else nullcontext():
            return read(loaded)
    except OSError as error:
        raise ArraysError(f"{path}: {error.strerror.lower()}" if error.strerror else problem, hint=hint) from error
    except MemoryError:
        raise
    except Exception as error:  # numpy lets through what its readers of zip files, headers and archives raise
        raise ArraysError(problem, hint=hint) from error


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes one array as npy, or any number as npz, by how the path ends. Raises ArraysError, and OSError."""
    held = BytesIO()  # of one call, so small; numpy itself needs a file that it can seek in
    if path.suffix == ".npy":
        if len(arrays) != 1:
            raise ArraysError(f"{path}: there are {len(arrays)} outputs", hint="name a file that ends in .npz")
        np.save(held, next(iter(arrays.values())), allow_pickle=False)
    else:
        named: dict[str, Any] = dict(arrays)
        np.savez(held, **named)
    with whole_file(path) as file:
        file.write(held.getbuffer())
