"""Words wrong on held-out speech during training: greedy search over a batch of utterances, on the device.

The searches of mctc.decode follow one stream, with a call of the predictor and one of the joiner a label. On a GPU each
call costs its launch, whatever its size; here all utterances of a batch share them. Both find the same labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from mctc.decode import Settings
from mctc.score.alignment import Counts, words
from mctc.tokens import Tokens

from .emitted import is_transducer
from .features import LogMel
from .sound import Sound

BATCH = 64
BLANK = 0


@torch.no_grad()
def greedy(model: nn.Module, features: Tensor, lengths: Tensor) -> list[list[int]]:
    """Labels of each utterance of features (B, T, bins) and their lengths (B,)."""
    encoder: Any = model.encoder
    encoded = encoder(features.transpose(1, 2)[:, :, None], lengths)
    frames = encoder.output_lengths(lengths)
    if is_transducer(model):
        return _transducer(model, encoded, frames)
    best = encoded.argmax(1)[:, 0]
    changed = torch.nn.functional.pad(best[:, 1:] != best[:, :-1], (1, 0), value=True)
    kept = changed & (best != BLANK) & (torch.arange(best.shape[1], device=best.device) < frames[:, None])
    return [row[chosen].tolist() for row, chosen in zip(best, kept)]


def _transducer(model: Any, encoded: Tensor, frames: Tensor) -> list[list[int]]:
    """One label or one frame further in each round, for each utterance by itself (Graves 2012, a beam of one)."""
    batch, device, most = len(encoded), encoded.device, Settings().max_symbols
    token = torch.full((batch, 1, 1, 1), BLANK, dtype=torch.long, device=device)
    predicted, state = model.predictor.step(token, model.predictor.initial_state(batch))
    at, symbols = torch.zeros_like(frames), torch.zeros_like(frames)
    rows = torch.arange(batch, device=device)
    emitted = []
    for turn in range(int(frames.max()) * (most + 1)):
        live = at < frames
        if turn % 16 == 0 and not bool(live.any()):
            break
        frame = encoded[rows, :, :, at.clamp(max=encoded.shape[-1] - 1)][..., None]
        label = model.joiner(frame, predicted.transpose(2, 3)).argmax(1).view(batch)
        speaks = live & (label != BLANK)
        emitted.append(label.where(speaks, BLANK))
        after, next_state = model.predictor.step(label.view(batch, 1, 1, 1), state)
        predicted = _where(speaks, after, predicted)
        state = tree_map(partial(_where, speaks), next_state, state)
        symbols = (symbols + 1).where(speaks, 0)
        full = symbols == most
        at, symbols = at + (live & (~speaks | full)).long(), symbols.masked_fill(full, 0)
    said = torch.stack(emitted, 1).tolist() if emitted else [[]] * batch
    return [[label for label in row if label != BLANK] for row in said]


def _where(chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, *[1] * (new.dim() - 1)), new, old)


def word_errors(
    model: nn.Module, sound: Sound, texts: Sequence[str], features: LogMel, tokens: Tokens, mine: slice
) -> Counts:
    """Errors over the utterances `mine`, the texts as they are. The modules are put into evaluation mode."""
    model.eval()
    features.eval()
    counts = Counts()
    device = features.window.device
    for which in filter(len, torch.split(torch.argsort(sound.lengths)[mine], BATCH)):
        cut = sound.cut(which, int(sound.lengths[which].max()), 1)
        mel, frames = features(cut.samples.to(device).float() / 32768.0, cut.lengths.to(device))
        for at, ids in zip(which.tolist(), greedy(model, mel, frames)):
            counts += words(texts[at].split(), tokens.text(ids).split())[0]
    return counts
