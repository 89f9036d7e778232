"""What a run is told: a TOML file, each value of which the command line can replace by `section.key=value`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Section = TypeVar("Section")


class ConfigError(ValueError):
    """A setting that is not known, of the wrong type, or impossible; the message names its key."""


@dataclass(frozen=True)
class Model:
    training: str  # the training/ folder of a build
    start: str = ""  # .safetensors to begin with, in place of the spec's initial values
    checkpointing: bool = False  # compute activations again in the backward pass
    ctc: float = 0.3  # weight of CTC on the encoder beside a transducer's loss


@dataclass(frozen=True)
class Data:
    train: tuple[str, ...]  # manifests: NeMo, lhotse, Kaldi
    tokens: str  # what mctc build --tokens takes
    dev: tuple[str, ...] = ()
    sample_rate: int = 16_000
    store: str = "auto"  # of the sound: device, file, or auto: on the device where half of its memory is enough
    cache: str = ""  # folder of the file, the run's own unless named


@dataclass(frozen=True)
class Batch:
    seconds: float = 900.0  # of speech in a micro-batch, padding counted
    accumulate: int = 1  # micro-batches of an optimiser step, over all processes
    buckets: int = 32
    shortest: float = 0.2  # seconds; other utterances are left out
    longest: float = 24.0


@dataclass(frozen=True)
class Augment:
    """Each with the probability that it happens to an utterance."""

    speed: tuple[float, ...] = (0.9, 1.0, 1.1)  # one for each micro-batch; () leaves it out
    reverberation: float = 0.4
    noise: float = 0.5
    snr: tuple[float, float] = (0.0, 30.0)  # dB, of noise and of babble
    babble: float = 0.15
    tilt: float = 0.4  # of the spectrum, up to 6 dB an octave from 1 kHz
    telephone: float = 0.15  # 300 to 3400 Hz
    gain: float = 0.8  # peak between these levels, in dBFS
    level: tuple[float, float] = (-40.0, 0.0)
    vocal_tract: float = 0.1  # largest relative warp of the frequencies; 0 leaves it out
    frequency_masks: int = 2
    frequency_width: int = 20  # bins
    time_masks: int = 5
    time_share: float = 0.05  # of an utterance, the widest of each


@dataclass(frozen=True)
class Optimizer:
    peak_rate: float = 2e-3
    floor: float = 0.01  # share of the peak at the end
    warm_up: int = 500  # steps
    weight_decay: float = 1e-3
    clip: float = 2.0  # norm of the gradient
    ema: float = 0.999


@dataclass(frozen=True)
class Quantize:
    from_step: int = 0  # from here on with the weights that the package will hold; 0: never
    peak_rate: float = 2e-4


@dataclass(frozen=True)
class Train:
    run: str  # folder of the run
    steps: int
    seed: int = 0
    minutes: float = 0.0  # stop after so long, to go on later; 0: no limit
    log_every: int = 50
    save_every: int = 500
    keep: int = 3
    dev_every: int = 1000
    device: str = ""
    precision: str = "auto"  # auto, float32, bfloat16
    strategy: str = "ddp"  # or fsdp
    per_label: bool = True  # divide the loss by labels, not by utterances
    profile: bool = False  # measure the share of time that the GPU computes over 20 steps


@dataclass(frozen=True)
class Config:
    model: Model
    data: Data
    train: Train
    batch: Batch = field(default_factory=Batch)
    augment: Augment = field(default_factory=Augment)
    optimizer: Optimizer = field(default_factory=Optimizer)
    quantize: Quantize = field(default_factory=Quantize)

    def __post_init__(self) -> None:
        train, choices = self.train, {"store": ("auto", "device", "file"), "strategy": ("ddp", "fsdp")}
        checks = (
            (train.save_every % train.log_every == 0, "train.save_every must be a multiple of train.log_every"),
            (train.dev_every % train.log_every == 0, "train.dev_every must be a multiple of train.log_every"),
            (0 <= self.quantize.from_step < train.steps, "quantize.from_step must lie before train.steps"),
            (self.data.store in choices["store"], f"data.store is one of {', '.join(choices['store'])}"),
            (train.strategy in choices["strategy"], f"train.strategy is one of {', '.join(choices['strategy'])}"),
            (train.precision in PRECISIONS, f"train.precision is one of {', '.join(PRECISIONS)}"),
            (self.batch.accumulate >= 1, "batch.accumulate must be at least 1"),
            (self.batch.longest <= self.batch.seconds, "batch.longest must fit into batch.seconds"),
            (all(0.5 <= each <= 2 for each in self.augment.speed), "augment.speed must lie between 0.5 and 2"),
        )
        for holds, rule in checks:
            if not holds:
                raise ConfigError(rule)


PRECISIONS = ("auto", "float32", "bfloat16")


def read_config(arguments: Sequence[str]) -> Config:
    """The configuration of `FILE.toml section.key=value ...`. Raises ConfigError, and OSError for no such file."""
    path, *overrides = arguments
    try:
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    for override in overrides:
        name, equals, text = override.partition("=")
        section, dot, key = name.partition(".")
        if not (equals and dot and isinstance(content.setdefault(section, {}), dict)):
            raise ConfigError(f"{override!r} is no section.key=value")
        content[section][key] = _value(text)
    return of_content(content)


def of_content(content: dict[str, Any]) -> Config:
    """The configuration of nested tables; `as_content` is its inverse. Raises ConfigError."""
    hints = get_type_hints(Config)
    _known(content, list(hints), "")
    for name, table in content.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{name} is no section")
    return Config(**{name: _section(hints[name], content.get(name, {}), name) for name in hints})


def as_content(config: Config) -> dict[str, Any]:
    """Nested tables of plain values."""
    return asdict(config)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a word without quotes, which the shell has taken


def _section(kind: type[Section], table: dict[str, Any], name: str) -> Section:
    hints = get_type_hints(kind)
    _known(table, list(hints), f"{name}.")
    for each in fields(kind):  # type: ignore[arg-type]
        if each.name not in table and each.default is MISSING:
            raise ConfigError(f"{name}.{each.name} is missing")
    return kind(**{key: _typed(hints[key], value, f"{name}.{key}") for key, value in table.items()})


def _known(table: dict[str, Any], names: list[str], prefix: str) -> None:
    for key in table:
        if key not in names:
            near = get_close_matches(key, names, 1, 0.0)
            raise ConfigError(f"there is no {prefix}{key}; the nearest is {prefix}{near[0]}")


def _typed(kind: Any, value: Any, name: str) -> Any:
    if get_origin(kind) is tuple:
        inner, count = get_args(kind)[0], None if get_args(kind)[-1] is ... else len(get_args(kind))
        if not isinstance(value, (list, tuple)) or count not in (None, len(value)):
            raise ConfigError(f"{name} is {value!r}, not a list" + (f" of {count}" if count else ""))
        return tuple(_typed(inner, each, name) for each in value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name} is {value!r}, not a {kind.__name__}")
    return value
