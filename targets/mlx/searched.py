"""What a session of the emitted package has to know: which components search, and how frames are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mctc.driver.compiled import Compiled
from mctc.driver.manifest import blank_of, durations_of
from mctc.ir.program import Function
from mctc.ir.types import Role

KINDS = {(True, False): "encoder", (False, True): "predictor", (True, True): "joiner"}  # takes frames, takes labels


def search(compiled: Compiled, audio: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A greedy search over frames; None for a model that has none, or no log-mel frames that stream as the
    package's own code makes them."""
    if audio is None or audio.get("kind") == "samples" or audio["exists"] or not _streams(audio):
        return None
    encoder, blank = str(audio["function"]), blank_of(compiled.whole) or 0
    functions = {_kind(each): name for name, each in compiled.deployed.functions.items() if name in compiled.steps}
    if not compiled.steps[encoder].streams or compiled.deployed.functions[encoder].inputs[0].name != audio["input"]:
        return None
    told: dict[str, Any] = {"encoder": encoder, "blank": blank, "output": 0}
    if "predictor" in functions and "joiner" in functions:
        joiner = compiled.deployed.functions[functions["joiner"]]
        first = joiner.inputs[0].type.find(Role.TIME) is not None
        named = {"predictor": functions["predictor"], "joiner": joiner.name, "frames_first": first}
        entries, durations = _classes(compiled, joiner, 0), durations_of(compiled.whole)
        if not durations:
            return {"kind": "transducer", **told, **named, "classes": entries}
        behind = len(durations) if len(joiner.results) == 1 else 0
        return {"kind": "durations", **told, **named, "classes": entries - behind, "durations": list(durations)}
    results = compiled.deployed.functions[encoder].results
    classes = [at for at, (_, value) in enumerate(results) if Role.VOCABULARY in value.type.roles]
    if not classes:
        return None
    function = compiled.deployed.functions[encoder]
    return {"kind": "ctc", **told, "output": classes[0], "classes": _classes(compiled, function, classes[0])}


def write_front_end(audio: Mapping[str, Any], path: Path) -> None:
    """Writes the window and the mel filters of a front end."""
    from mctc.audio.filterbank import mel_filters
    from mctc.audio.mel import MelConfig, analysis
    from mctc.runtime.built import PORTS

    config = MelConfig(**{key: value for key, value in audio.items() if key not in PORTS})
    window, _ = analysis(config)
    ends = (config.f_min, config.f_max)
    filters = mel_filters(config.sample_rate, config.fft, config.bins, *ends, config.scale, config.area)
    np.savez(path, window=window, filters=filters)


def _streams(audio: Mapping[str, Any]) -> bool:
    whole = audio["centred"] or audio["decades"] is not None or audio["normalise"] == "recording"
    kaldi = audio["gain"] != 1 or audio["by_window"] or audio["framing"] != "causal"
    return not (whole or kaldi or audio["shortest"] or audio["zeros"])


def _kind(function: Function) -> str | None:
    takes = tuple(any(v.type.find(role) is not None for v in function.inputs) for role in (Role.TIME, Role.LABEL))
    return KINDS.get((takes[0], takes[1]))


def _classes(compiled: Compiled, function: Function, result: int) -> int:
    """How many entries of a vocabulary are no padding."""
    name, value = function.results[result]
    valid = (v.valid for v in compiled.deployed.vocabularies if (v.function, v.result) == (function.name, name))
    axis = value.type.find(Role.CHANNEL)
    assert axis is not None, "classes lie along the channels"
    return next(valid, value.type.extents[axis].value)
