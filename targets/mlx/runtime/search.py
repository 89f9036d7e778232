"""Greedy searches over encoded frames, and the text of what they find."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from .loading import bound

MAX_SYMBOLS = 5  # labels that one frame may emit


class Transducer:
    """Graves (2012), section 2.5, with a beam of one: a frame emits labels until the best one is the blank."""

    def __init__(self, model: Any, told: Mapping[str, Any], dtype: mx.Dtype) -> None:
        search = told["search"]
        predictor, joiner = search["predictor"], search["joiner"]
        self._predictor, self._joiner = bound(model, told, predictor, predictor), bound(model, told, joiner)
        self._blank, self._classes, self._frames_first = search["blank"], search["classes"], search["frames_first"]
        component = getattr(model, predictor)
        self._state = component.initial_state(1, dtype) if hasattr(component, "step") else None
        self.ids: list[int] = []
        self._step(self._blank)

    def accept(self, encoded: mx.array) -> None:
        """Frames (1, frames, C)."""
        at = symbols = 0
        while at < encoded.shape[1]:
            best = self._best(encoded[:, at:])
            spoken = np.flatnonzero(best != self._blank)
            skipped = int(spoken[0]) if spoken.size else len(best)
            at, symbols = at + skipped, 0 if skipped else symbols
            if spoken.size:
                self._step(int(best[skipped]))
                self.ids.append(int(best[skipped]))
                symbols += 1
                if symbols == MAX_SYMBOLS:
                    at, symbols = at + 1, 0

    def _best(self, encoded: mx.array) -> np.ndarray:
        """The best class of each frame, before the next label."""
        logits, *_ = self._joined(encoded)
        return np.array(mx.argmax(logits[..., : self._classes], axis=-1)).reshape(-1)

    def _joined(self, encoded: mx.array) -> tuple[mx.array, ...]:
        """The joiner's results for frames and the labels so far."""
        given = (encoded, self._predicted) if self._frames_first else (self._predicted, encoded)
        results = self._joiner(*given)
        return results if isinstance(results, tuple) else (results,)

    def _step(self, label: int) -> None:
        token = mx.array([[label]], mx.int32)
        if self._state is None:
            self._predicted = self._predictor(token)
        else:
            self._predicted, self._state = self._predictor(token, self._state)
        mx.eval(self._predicted, self._state)


class DurationTransducer(Transducer):
    """Xu et al. (2023), algorithm 2: a frame's best class and best duration, by which the search goes on; a blank goes
    on by one frame at least."""

    def __init__(self, model: Any, told: Mapping[str, Any], dtype: mx.Dtype) -> None:
        super().__init__(model, told, dtype)
        self._durations, self._next = told["search"]["durations"], 0

    def accept(self, encoded: mx.array) -> None:
        at, symbols = self._next, 0
        while at < encoded.shape[1]:
            label, duration = self._look(encoded[:, at : at + 1])
            if label != self._blank:
                self._step(label)
                self.ids.append(label)
                symbols += 1
            if label == self._blank or symbols == MAX_SYMBOLS:
                duration = max(1, duration)
            at, symbols = at + duration, 0 if duration else symbols
        self._next = at - encoded.shape[1]

    def _look(self, frame: mx.array) -> tuple[int, int]:
        """The best class at a frame (1, 1, C), and how many frames it goes on."""
        logits, *others = self._joined(frame)
        behind = logits[..., self._classes : self._classes + len(self._durations)]
        best = [mx.argmax(logits[..., : self._classes]), mx.argmax(others[0] if others else behind)]
        label, duration = np.array(mx.stack(best)).tolist()
        return label, self._durations[duration]


class Ctc:
    """The best class of each frame: repeats of one and blanks left out."""

    def __init__(self, model: Any, told: Mapping[str, Any], dtype: mx.Dtype) -> None:
        self._blank, self._classes = told["search"]["blank"], told["search"]["classes"]
        self._last = self._blank
        self.ids: list[int] = []

    def accept(self, encoded: mx.array) -> None:
        """Scores of classes (1, frames, classes)."""
        for best in np.array(mx.argmax(encoded[..., : self._classes], axis=-1)).reshape(-1).tolist():
            if best not in (self._blank, self._last):
                self.ids.append(best)
            self._last = best


SEARCHES: dict[str, type[Transducer] | type[Ctc]] = {
    "transducer": Transducer,
    "durations": DurationTransducer,
    "ctc": Ctc,
}


class Pieces:
    """The bytes of each id: tokens.json of the folder, or the ids as numbers where there is none."""

    def __init__(self, folder: Path) -> None:
        path = folder / "tokens.json"
        listed = json.loads(path.read_text(encoding="utf-8"))["pieces"] if path.is_file() else None
        self._pieces = None if listed is None else [p.encode() if isinstance(p, str) else bytes(p) for p in listed]
        self._said, self._count = bytearray(), 0

    def text(self, ids: Sequence[int]) -> str:
        """What the ids say, which begin with those of the call before."""
        for each in ids[self._count :]:
            self._said += self._piece(each)
        self._count = len(ids)
        return self._said.decode("utf-8", "replace").strip()

    def _piece(self, label: int) -> bytes:
        if self._pieces is None:
            return f" {label}".encode()
        return self._pieces[label] if label < len(self._pieces) else b""
