"""A stream of sound through the model: samples in, the text so far out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import get_ident
from typing import Any

import mlx.core as mx
import numpy as np

from .audio import LogMel
from .loading import FOLDER, bound, config, load
from .search import SEARCHES, Pieces


class Session:
    """One stream: `step` hears samples and returns the text so far, `finish` the text of all of it.

    A session belongs to the thread that made it: streams of MLX are a thread's own. Threads that stream side by side
    have a session each, and may share a `model`. Every call is of one shape, and what it leaves is evaluated, so
    memory does not grow with the stream. Raises ValueError for a model that needs a whole utterance.
    """

    def __init__(self, folder: Path = FOLDER, dtype: mx.Dtype = mx.float32, model: Any = None) -> None:
        told = config(folder)
        if told["search"] is None:
            raise ValueError("this model is no transducer or CTC that streams log-mel frames: call its components")
        self.model = load(folder, dtype) if model is None else model
        self._thread, self._dtype = get_ident(), dtype
        self.rate: int = told["audio"]["sample_rate"]
        self._mel, self._pieces = LogMel(folder, told["audio"]), Pieces(folder)
        self._encoder = Encoder(self.model, told, dtype)
        self._search = SEARCHES[told["search"]["kind"]](self.model, told, dtype)
        self._held = np.zeros((0, told["audio"]["bins"]), np.float32)

    @property
    def text(self) -> str:
        """What was heard so far."""
        return self._pieces.text(self._search.ids)

    def step(self, samples: np.ndarray) -> str:
        """The text so far, after more samples: floats in [-1, 1] at `rate`. Raises RuntimeError in another thread."""
        if get_ident() != self._thread:
            raise RuntimeError("a session belongs to the thread that made it: make one for each thread")
        self._held = np.concatenate([self._held, self._mel.push(samples)])
        size = self._encoder.chunk
        while len(self._held) >= size:
            self._hear(self._held[:size], size)
            self._held = self._held[size:]
        return self.text

    def finish(self) -> str:
        """The text of the whole stream: what was held back for want of sound is heard now."""
        left, size = np.concatenate([self._held, self._mel.flush()]), self._encoder.chunk
        for at in range(0, len(left), size):
            part = left[at : at + size]
            self._hear(np.pad(part, ((0, size - len(part)), (0, 0))), len(part))
        while self._encoder.late:
            self._hear(np.zeros((size, left.shape[1]), np.float32), 0)
        self._held = left[:0]
        return self.text

    def _hear(self, mel: np.ndarray, exist: int) -> None:
        encoded = self._encoder.push(mel, exist)
        if encoded.shape[1]:
            self._search.accept(encoded)


class Encoder:
    """Chunks of exactly `chunk` frames; frames that look-ahead holds back come with a later chunk."""

    def __init__(self, model: Any, told: Mapping[str, Any], dtype: mx.Dtype) -> None:
        search = told["search"]
        component, step = getattr(model, search["encoder"]), told["components"][search["encoder"]]["steps"]
        self._told, self._dtype, self._output = step[search["encoder"]], dtype, search["output"]
        self.chunk: int = self._told["inputs"][0]["shape"][1]
        self._frames = self._told["outputs"][self._output]["shape"][1]
        self._masks = [port["shape"][0] for port in self._told["inputs"][1:]]
        self._state = component.initial_state(1, dtype) if self._told["states"] else None
        call = bound(model, told, search["encoder"], search["encoder"])
        self._call = mx.compile(call) if self._state is not None else call
        self._heard = self._given = 0
        self._delay = list(self._told["delay_frames"].values())[self._output]

    @property
    def total(self) -> int:
        """Encoded frames of all that was heard."""
        return -(-self._heard * self._frames // self.chunk)

    @property
    def late(self) -> bool:
        """Whether some of them have not come yet."""
        return self._given < self.total

    def push(self, mel: np.ndarray, exist: int) -> mx.array:
        """Encoded frames (1, frames, C) after the next chunk [chunk, bins], of which the first `exist` frames exist."""
        self._heard += exist
        strides = -(-exist * self._frames // self.chunk)  # an utterance counts in whole strides
        marks = [np.arange(n) * self._frames < strides * n for n in self._masks]
        given = [mx.array(mel[None]).astype(self._dtype), *(mx.array(m.astype(np.float32)) for m in marks)]
        if self._state is None:
            results = self._call(*given)
            results = results if isinstance(results, tuple) else (results,)
        else:
            *results, self._state = self._call(*given, self._state)
        mx.eval(results, self._state)
        encoded = results[self._output]
        late = min(self._delay, encoded.shape[1])
        self._delay -= late
        encoded = encoded[:, late:][:, : self.total - self._given]
        self._given += encoded.shape[1]
        return encoded
