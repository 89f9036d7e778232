"""Tells where the words of utterances end, by the most probable path of a trained transducer.

    python -m speech.align MANIFEST --training TRAINING --start WEIGHTS --tokens TOKENS -o aligned.jsonl

Each line of NeMo's manifest gets `words` with their `end` in seconds. A transducer says a word some time after its
end: `--late` seconds are taken off, and the end is put where within 60 ms of that the sound is quietest.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mctc.audio import MelConfig
from mctc.diagnostics.errors import MctcError
from mctc.score.errors import ManifestError
from mctc.score.manifests.json_lines import JsonEntry, entries
from mctc.score.manifests.nemo import KEY, read_nemo
from mctc.score.manifests.read import reader_of

from .config import ConfigError, Model
from .emitted import Emitted, is_transducer
from .features import LogMel
from .heard import BLANK
from .manifests import DataError, read_spoken, tokens_of
from .sound import Sound

ENOUGH = 1000  # frames of features, for the rate of the encoder's
NEAR_S, WINDOW_S = 0.06, 0.02


@torch.no_grad()
def emissions(model: Any, features: Tensor, labels: list[int]) -> list[int]:
    """The frame in which the best path says each label (Graves 2012). features: (1, T, bins)."""
    lengths = torch.tensor([features.shape[1]])
    encoded = model.encoder(features.transpose(1, 2)[:, :, None], lengths)[..., : model.encoder.output_lengths(lengths)]
    token = torch.tensor([BLANK, *labels]).view(1, 1, 1, -1)
    state, predicted = model.predictor.initial_state(1), []
    for each in torch.split(token, 1, dim=-1):
        one, state = model.predictor.step(each, state)
        predicted.append(one)
    said = torch.cat(predicted, -1).transpose(2, 3)  # (1, D, U + 1, 1)
    scores = [
        model.joiner(encoded[..., at : at + 1], said)[0, :, :, 0].log_softmax(0) for at in range(encoded.shape[-1])
    ]
    blank = torch.stack([each[BLANK] for each in scores]).numpy().astype(np.float64)
    spoken = torch.stack([each[labels, range(len(labels))] for each in scores]).numpy().astype(np.float64)
    return best_path(blank, spoken)


def best_path(blank: NDArray[np.float64], spoken: NDArray[np.float64]) -> list[int]:
    """Frames of the labels on the most probable path. blank: (T, U + 1), spoken: (T, U) log probabilities."""
    frames, labels = blank.shape[0], spoken.shape[1]
    score = np.full((frames, labels + 1), -np.inf)
    by_label = np.zeros((frames, labels + 1), bool)
    for at in range(frames):
        waited = score[at - 1] + blank[at - 1] if at else np.where(np.arange(labels + 1), -np.inf, 0.0)
        score[at, 0] = waited[0]
        for label in range(labels):
            moved = score[at, label] + spoken[at, label]
            by_label[at, label + 1] = moved > waited[label + 1]
            score[at, label + 1] = max(moved, waited[label + 1])
    at, found = frames - 1, [0] * labels
    for label in range(labels, 0, -1):
        while not by_label[at, label]:
            at -= 1
        found[label - 1] = at
    return found


def utterances_of(manifest: Path) -> list[JsonEntry]:
    """The lines of NeMo's manifest. Raises ManifestError for another kind of data."""
    if reader_of(manifest) is not read_nemo:
        raise ManifestError(manifest, "this is no manifest of NeMo's")
    return list(entries(manifest))


def told(entry: JsonEntry, audio: Path, out: Path, words: list[tuple[str, float]], seconds: float) -> dict[str, Any]:
    """An utterance with the ends of its words, which lie inside its `seconds`. Its recording is named so that it is
    found from the folder of `out`."""
    ends = [{"word": word, "end": round(min(max(end, 0.0), seconds), 3)} for word, end in words]
    name = entry.content[KEY]
    same = Path(name).is_absolute() or (out.parent / name).resolve() == audio.resolve()
    return {**entry.content, KEY: name if same else str(audio.resolve()), "words": ends}


def quietest(samples: NDArray[np.float32], rate: int, seconds: float) -> float:
    """The second, within NEAR_S of one, around which WINDOW_S of sound have the least power."""
    window = round(WINDOW_S * rate)
    first = max(0, round((seconds - NEAR_S) * rate))
    near = samples[first : round((seconds + NEAR_S) * rate) + window]
    if near.size < window:
        return seconds
    power = np.convolve(near**2, np.ones(window), "valid")
    return (first + int(power.argmin()) + window / 2) / rate


@click.command(help=__doc__)
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--training", required=True, help="The training/ folder of a build.")
@click.option("--start", required=True, help="Its weights.")
@click.option("--tokens", "tokens_name", required=True)
@click.option("--late", default=0.12, help="Seconds from a word's end until the model says it.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True)
def main(manifest: Path, training: str, start: str, tokens_name: str, late: float, out: Path) -> None:
    try:
        model = Emitted(Model(training, start), ("--training", "--start")).model().eval()
        if not is_transducer(model):
            raise ConfigError("--training: the model is no transducer, whose paths tell where words end")
        mel = MelConfig()
        tokens = tokens_of(tokens_name)
        lines = utterances_of(manifest)
        spoken = read_spoken((str(manifest),), tokens, mel.sample_rate)
    except (ConfigError, DataError, MctcError, OSError) as error:
        raise click.ClickException(str(error)) from error
    frame_s = mel.hop / mel.sample_rate * ENOUGH / int(model.encoder.output_lengths(torch.tensor(ENOUGH)))
    sound, features, found = Sound(spoken, torch.device("cpu")), LogMel(mel).eval(), []
    for at, line in enumerate(lines):
        cut = sound.cut(torch.tensor([at]), int(sound.lengths[at]), 1)
        samples = cut.samples.float() / 32768.0
        labels = spoken.labels[at].tolist()
        frames = emissions(model, features(samples, cut.lengths)[0], labels)
        said = [(each.text, (frames[each.last - 1] + 1) * frame_s - late) for each in tokens.words(labels)]
        ends = [(word, quietest(samples[0].numpy(), mel.sample_rate, end)) for word, end in said]
        found.append(told(line, spoken.utterances[at].audio, out, ends, samples.shape[1] / mel.sample_rate))
    out.write_text("".join(f"{json.dumps(each)}\n" for each in found), encoding="utf-8")


if __name__ == "__main__":
    main()
