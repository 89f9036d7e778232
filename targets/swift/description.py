"""model.json: what the runtime of a Swift package knows of its model (runtime/ModelDescription.swift)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from mctc.audio.front_end import FrontEnd
from mctc.audio.mel import MelConfig, analysis
from mctc.audio.samples import SampleConfig
from mctc.driver.manifest import read_manifest
from mctc.ir.types import DType, Role
from mctc.runtime.built import Built, BuiltFunction, BuiltPort, open_built
from mctc.runtime.ctc import classifier
from mctc.runtime.encoder import frames_input, frames_output
from mctc.runtime.encoder_decoder import PREFILL, decoder_of
from mctc.runtime.hearing import AMONG
from mctc.runtime.pooled import pooling
from mctc.runtime.transducer import roles_of
from mctc.targets.swift.errors import SwiftError
from mctc.targets.swift.spelling import spelling_of
from mctc.tokens import Tokens

Json = dict[str, Any]
SOUND_HZ = 8_000
"""A result of one number a frame that comes at this rate or above is sound, as phones carry it at the least."""
UNITS = {"ane": "neuralEngine", "cpu": "cpu", "gpu": "gpu", "doubtful": "neuralEngine"}
"""Where a function is sent, by what the placement says of most of its operations."""


def described(folder: Path) -> Json:
    """The contents of model.json for a build for the Neural Engine. Raises SwiftError for one that hears nothing."""
    built, manifest = open_built(folder), read_manifest(folder)
    if built.front_end is None:
        told = f"no function of {built.model} takes sound alone, so an app has nothing to feed it with"
        raise SwiftError(told, hint="--target ane writes the Core ML package without an app around it")
    placed = _placed(folder)
    functions = {
        name: _function(folder, function, manifest["functions"][name], placed)
        for name, function in built.every_function.items()
    }
    return {
        "model": built.model,
        "version": manifest["mctc"],
        "digest": _digest(manifest),
        **_kind(built),
        "durations": list(durations_of(built)),
        "trained": built.seed is None,
        "streams": built.lengths.streams,
        "chunks": _chunks(built),
        "features": _features(built),
        "functions": functions,
        "blank": built.blank,
        "tokens": None if built.tokens is None else tokens_of(built.tokens),
    }


def _kind(built: Built) -> Json:
    """What the model is, by what its functions take and return, and which function plays which part."""
    parts: Json = dict.fromkeys(("encoder", "encoded", "predictor", "joiner", "decoder", "soundRate"))
    encoder = built.functions[str(built.manifest["audio"]["function"])]
    parts |= {
        "encoder": encoder.name,
        "encoded": frames_output(encoder).spec if _timed(encoder) else encoder.outputs[0].spec,
    }
    decoder = decoder_of(built)
    if decoder is not None:
        size = len(built.vocabulary(decoder.name, decoder.outputs[0]).tokens)
        return {**parts, "kind": "decoder", "vocabulary": size, "decoder": _decoder(built, decoder)}
    if any(function.role is Role.LABEL for function in built.functions.values()):
        return {**parts, **_transducer(built), "kind": "transducer"}
    if any(port.type.find(Role.VOCABULARY) is not None for port in encoder.outputs) and _timed(encoder):
        function, output = classifier(built)
        size = len(built.vocabulary(function.name, output).tokens)
        return {**parts, "kind": "ctc", "vocabulary": size, "encoder": function.name, "encoded": output.spec}
    if pooling(built) is encoder:
        first = encoder.outputs[0]
        if first.type.find(Role.VOCABULARY) is not None:
            told = f"{first.spec} of {encoder.name} has a vocabulary, which is padded: an app would get that, too"
            raise SwiftError(told, hint="write the number of classes in place of the vocabulary: it is one vector")
        return {**parts, "kind": "embedding", "vocabulary": 0}
    rate = _sound_rate(built, encoder)
    return {**parts, "kind": "features" if rate is None else "sound", "vocabulary": 0, "soundRate": rate}


def _transducer(built: Built) -> Json:
    """Its functions, and how many labels and durations its joiner scores."""
    encoder, predictor, joiner = roles_of(built)
    if joiner.states:
        raise SwiftError(f"{joiner.name} carries states, and a search calls it several times a frame")
    size = len(built.vocabulary(joiner.name, frames_output(joiner)).tokens)
    durations = durations_of(built)
    if durations and len(joiner.streaming(joiner.outputs, Role.TIME)) > 1:  # they are a result of their own
        size += len(durations)
    return {"encoder": encoder.name, "predictor": predictor.name, "joiner": joiner.name, "vocabulary": size}


def durations_of(built: Built) -> tuple[int, ...]:
    """Of a token-and-duration transducer, how many frames each of the joiner's logits of durations goes on."""
    return tuple(built.manifest.get("durations", ()))


def _sound_rate(built: Built, encoder: BuiltFunction) -> int | None:
    """The samples a second of a model whose first result over time is sound; None of another model."""
    port, config = frames_output(encoder), built.front_end
    width = math.prod(port.type.shape) // (port.frames or 1)
    if config is None or width != 1:
        return None
    rate = Fraction(port.frames or 1, frames_input(encoder, built.exists(encoder.name)).frames or 1) * config.rate
    return int(rate) if rate >= SOUND_HZ and rate.denominator == 1 else None


def _chunks(built: Built) -> list[Json]:
    """The seconds of a call of a stream, the usual one first, and which functions take the place of the usual ones."""
    if not built.lengths.streams or built.rate is None:
        return []
    chunks: dict[int, Mapping[str, str]] = {built.chunk: {}, **built.latencies}
    return [{"seconds": float(frames / built.rate), "functions": dict(called)} for frames, called in chunks.items()]


def _timed(function: BuiltFunction) -> bool:
    return bool(function.over_time())


def _decoder(built: Built, decoder: BuiltFunction) -> Json:
    """An attention decoder: its functions, that of most labels a call first, and the labels around a text."""
    prompt = built.manifest.get("prompt") or {}
    encoder, tokens = str(built.manifest["audio"]["function"]), built.tokens
    others = [name for name, each in built.functions.items() if each.role is Role.TIME and name != encoder]
    names = [decoder.name + PREFILL, decoder.name]
    among = any(port.given in AMONG for port in decoder.inputs)
    return {
        "functions": [name for name in names if name in built.functions],
        "between": [] if among else others,
        "among": among,
        "longest": built.manifest["stream"].get("labels"),
        "before": list(prompt.get("before") or []),
        "begin": list(prompt.get("begin") or []),
        "end": prompt.get("end"),
        "ends": [] if tokens is None else list(tokens.ends),
        "never": [] if tokens is None else list(tokens.never),
        "notFirst": [] if tokens is None else list(tokens.not_first),
        "heading": prompt.get("heading"),
    }


def _function(folder: Path, function: BuiltFunction, told: Mapping[str, Any], placed: Mapping[str, Json]) -> Json:
    alone = function.stored_as == "main"
    return {
        "package": function.package.relative_to(folder).name,
        "name": None if alone else function.stored_as,
        **placed.get(function.stored_as, {"predicted": "cpu", "engineShare": 0.0}),
        "inputs": [_port(folder, port) for port in function.inputs],
        "outputs": [_port(folder, port) for port in function.outputs],
        "states": [_port(folder, port) for port in function.states],
        "passesStates": bool(function.state_outputs),
    }


def _port(folder: Path, port: BuiltPort) -> Json:
    shape, roles = list(port.type.shape), list(port.type.roles)
    along = Role.TIME if Role.TIME in roles else Role.LABEL
    frame = roles.index(along) if port.frames and along in roles else None
    wide = [at for at, role in enumerate(roles) if role.is_channel or (role is Role.FEATURE and shape[at] > 1)]
    table = port.table if port.table is not None else port.row_of
    element = "int32" if port.type.dtype is DType.I32 else "fp32" if port.wide else "fp16"
    return {
        "name": port.name,
        "spec": port.spec,
        "shape": shape,
        "type": element,
        "frames": port.frames,
        "frameAxis": frame,
        "channelAxis": wide[0] if wide else None,
        "overTime": Role.TIME in roles,
        "delay": port.delay,
        "given": "row" if port.row_of is not None else "lookup" if port.table is not None else port.given,
        "rows": None if table is None else table.relative_to(folder).as_posix(),
    }


def _features(built: Built) -> Json | None:
    audio = built.manifest["audio"]
    if built.front_end is None:
        return None
    return {"input": audio["input"], "exists": audio["exists"], **features_of(built.front_end)}


def features_of(config: FrontEnd) -> Json:
    """A front end, with the numbers of its window and its filters: the last bits of a cosine differ by system."""
    told: Json = {"sampleRate": config.sample_rate, "bins": config.bins}
    told |= {"frameRate": config.frame_rate, "silence": config.silence}
    if isinstance(config, SampleConfig):
        return {**told, "kind": "samples", **_no_mel(config)}
    window, filters = analysis(config)
    starts, weights = [], []
    for columns, taps in zip(filters.columns.T, filters.weights.T):
        last = max(at for at, weight in enumerate(taps) if weight) + 1
        starts.append(int(columns[0]))
        weights.append([float(weight) for weight in taps[:last]])
    return {
        **told,
        "kind": "logMel",
        **_settings(config),
        "windowWeights": [float(weight) for weight in window],
        "filterStarts": starts,
        "filterWeights": weights,
    }


def _settings(config: MelConfig) -> Json:
    kept = "window hop fft floor added log normalise preemphasis centred mirrored partial decades shortest every zeros"
    named = {"gain": config.gain, "byWindow": config.by_window, "framing": config.framing}
    return {name: getattr(config, name) for name in kept.split()} | named


def _no_mel(config: SampleConfig) -> Json:
    """Settings that frames of samples have no use for."""
    unused = {**_settings(MelConfig()), "window": config.hop, "hop": config.hop, "fft": config.hop}
    unused |= {"normalise": config.normalise}
    return {**unused, "windowWeights": [], "filterStarts": [], "filterWeights": []}


def tokens_of(tokens: Tokens) -> Json:
    """What labels stand for, as runtime/TokenTable.swift reads it."""
    from mctc.tokens.stored import as_json

    table = json.loads(as_json(tokens))
    return {"pieces": table["pieces"], "special": table["special"], "spelling": spelling_of(tokens)}


def _placed(folder: Path) -> dict[str, Json]:
    """Where functions are predicted to run, by their names in the packages."""
    path = folder / "placement.json"
    if not path.is_file():
        return {}
    packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
    found = {}
    for function in (each for package in packages for each in package["functions"]):
        shares = {place: float(share) for place, share in function["shares"].items()}
        most = max(shares, key=lambda place: shares[place])
        found[function["name"]] = {"predicted": UNITS.get(most, "cpu"), "engineShare": shares.get("ane", 0.0)}
    return found


def _digest(manifest: Mapping[str, Any]) -> str:
    """Tells the artifacts of a build from those of others: where a device keeps what it compiled goes by it."""
    artifacts = {str(function["package"]) for function in manifest["functions"].values()}
    files = [(name, hash_) for name, hash_ in manifest["files"].items() if name.split("/")[0] in artifacts]
    return hashlib.sha256(json.dumps(sorted(files)).encode()).hexdigest()[:16]
