"""Running an asset with coreai's own runtime, on Linux and on a Mac."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import weakref
from collections.abc import Coroutine, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import cache
from pathlib import Path
from threading import Thread
from threading import enumerate as enumerate_threads
from time import monotonic, sleep
from typing import Any, TypeVar

import numpy as np
from coreai.authoring import AIModelAsset
from coreai.runtime import NDArray

from mctc.diagnostics.near import did_you_mean, listing
from mctc.driver.manifest import sha256
from mctc.ir.op import Array
from mctc.records import dataclass
from mctc.targets.coreai.errors import CoreAiError

T = TypeVar("T")
STANDARD_ERROR = 2
LAST_WAIT_S = 5.0
FLOATS: Mapping[Any, str] = {np.float16: "fp16", np.float32: "fp32"}
PROGRAM, DIGEST = "main.mlirb", "main.hash"  # of an asset; the digest is the program's SHA-256, 32 bytes


@dataclass(frozen=True)
class TensorPort:
    """An input or state of a function. `shape` has fixed extents, `dtype` is numpy's."""

    name: str
    shape: tuple[int, ...]
    dtype: Any

    def array(self, array: Array, function: str) -> NDArray:
        """The runtime's copy of an array. Raises CoreAiError naming the port where the shape or values don't fit."""
        given = np.asarray(array)
        if given.shape != self.shape:
            raise CoreAiError(f"`{self.name}` of {function} has shape {list(given.shape)}, expected {list(self.shape)}")
        expected = np.dtype(self.dtype)
        if given.dtype.kind not in "fiub" or (expected.kind in "iu" and np.any(given != given.astype(expected))):
            raise CoreAiError(f"`{self.name}` of {function} is {given.dtype}, expected {expected}")
        return NDArray(np.ascontiguousarray(given, self.dtype))  # the device's runtime reads no strides (NE35)


class CoreAiEngine:
    """An asset that was opened; functions are loaded when they are asked for. Closed when nobody refers to it."""

    def __init__(self, asset: Path, precision: str | None = None) -> None:
        check_whole(asset)
        self.asset, stack = asset, AsyncExitStack()
        try:
            self._model = _run(stack.enter_async_context(AIModelAsset.load(str(asset)).executable()))
        except Exception as error:  # whatever the runtime raises for a file that it can't read
            raise CoreAiError(f"{asset} can't be opened: {error}") from error
        self._functions: weakref.WeakValueDictionary[str, CoreAiFunction] = weakref.WeakValueDictionary()
        self._close = weakref.finalize(self, _close, stack)
        self._close.atexit = False  # the loop has ended by then
        built = {FLOATS[port.dtype] for name in self._model.function_names for port in self.function(name).floats()}
        if precision is not None and built and precision not in built:
            self._close()
            raise CoreAiError(
                f"{asset} computes in {min(built)}, not in {precision}", hint=f"--arithmetic {min(built)}"
            )

    def function(self, name: str | None = None) -> CoreAiFunction:
        """The function of that name, the first when left out. Raises CoreAiError when there is none."""
        names = list(self._model.function_names)
        name = names[0] if name is None and names else name
        if name not in names:
            hint = did_you_mean(str(name), names) or f"it has {listing(names)}"
            raise CoreAiError(f"{self.asset} has no function '{name}'", hint=hint)
        found = self._functions.get(name)
        if found is None:
            with _without_notices():
                loaded = self._model.load_function(name)
            found = self._functions[name] = CoreAiFunction(name, loaded, self)
        return found


class CoreAiFunction:
    """A function that is ready to be called (mctc.driver.engine.Executable)."""

    def __init__(self, name: str, loaded: Any, engine: CoreAiEngine) -> None:
        self.name, self._loaded, self._engine = name, loaded, engine
        described = loaded.desc
        self.inputs: Sequence[TensorPort] = [
            _port(port, described.input_descriptor(port)) for port in described.input_names
        ]
        self.states: Sequence[TensorPort] = [
            _port(port, described.state_descriptor(port)) for port in described.state_names
        ]

    def floats(self) -> list[TensorPort]:
        """The inputs and states that are no integers."""
        return [port for port in (*self.inputs, *self.states) if port.dtype in FLOATS]

    def make_state(self) -> MutableMapping[str, Array]:
        """States of zeros, by name; a call reads them and puts their new values in their place."""
        return {port.name: np.zeros(port.shape, port.dtype) for port in self.states}

    def __call__(self, inputs: Mapping[str, Array], state: Any = None) -> dict[str, Array]:
        """One call: outputs by name; `state` is updated in place. Raises CoreAiError naming the input at fault."""
        given = self._fitted(self.inputs, inputs, "input")
        held = self._fitted(self.states, {} if state is None else state, "state")
        try:
            results = _run(self._loaded(given, held))
        except Exception as error:
            raise CoreAiError(f"{self.name} of {self._engine.asset} fails: {error}") from error
        for name, array in held.items():
            state[name] = np.array(array.numpy())
        return {name: np.array(value.numpy()) for name, value in results.items()}

    def _fitted(self, ports: Sequence[TensorPort], arrays: Mapping[str, Array], kind: str) -> dict[str, NDArray]:
        names = [port.name for port in ports]
        for name in arrays:
            if name not in names:
                hint = did_you_mean(name, names) or (f"there are {listing(names)}" if names else None)
                raise CoreAiError(f"{self.name} has no {kind} `{name}`", hint=hint)
        for name in names:
            if name not in arrays:
                raise CoreAiError(f"{self.name} needs {kind} `{name}`")
        return {port.name: port.array(arrays[port.name], self.name) for port in ports}


def check_whole(asset: Path) -> None:
    """Raises CoreAiError where an asset is none or was changed since: reading a damaged one ends the process."""
    program, digest = asset / PROGRAM, asset / DIGEST
    if not program.is_file() or not digest.is_file():
        raise CoreAiError(f"{asset} is no Core AI asset", hint="`mctc build --target coreai` writes one")
    if bytes.fromhex(sha256(program)) != digest.read_bytes():
        raise CoreAiError(f"{asset} is damaged: {PROGRAM} is not what {DIGEST} says", hint="build it again")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, for all engines: the runtime has only an asynchronous interface, and the
    caller may be inside of a loop already, as in a notebook."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="Core AI", daemon=True)
    thread.start()
    atexit.register(_end, loop, thread)
    return loop


def _end(loop: asyncio.AbstractEventLoop, thread: Thread) -> None:
    """Before Python ends: ends the loop, and waits for threads of the runtime that are still telling it of a result.

    Python cuts off a thread that comes back to it too late, and Swift's runtime answers that by aborting the process.
    """
    if not thread.is_alive():  # a process that was forked off
        return
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    deadline = monotonic() + LAST_WAIT_S
    known = {each.ident for each in enumerate_threads()}
    while sys._current_frames().keys() - known and monotonic() < deadline:
        sleep(0.001)


os.register_at_fork(after_in_child=_loop.cache_clear)  # threads stay behind


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()


def _close(stack: AsyncExitStack) -> None:
    """Not waited for: what is collected as garbage may be so in the loop's own thread."""
    asyncio.run_coroutine_threadsafe(stack.aclose(), _loop())


@contextmanager
def _without_notices() -> Iterator[None]:
    """The runtime says on standard error which function it loads; nothing else is said in so short a time."""
    kept, nowhere = os.dup(STANDARD_ERROR), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, STANDARD_ERROR)
        yield
    finally:
        os.dup2(kept, STANDARD_ERROR)
        os.close(kept)
        os.close(nowhere)


def _port(name: str, descriptor: Any) -> TensorPort:
    return TensorPort(name, tuple(descriptor.shape), np.dtype(descriptor.dtype).type)
