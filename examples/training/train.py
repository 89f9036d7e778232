"""Trains a built model to hear three sentences in any order, quantisation included.

    python train.py --training FOLDER/training --out learned.safetensors

Enough to see every part at work in some minutes on a laptop's CPU; a real run differs in its data, not in its code.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch
from letters import LETTERS, encode
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from mctc.audio import bundled_recording, bundled_text, load_audio, log_mel

WRONG = 0.4  # share of the letters that the predictor is told wrong
QUIET = 15  # frames of 10 ms that a pause between sentences lasts at least


def sentences() -> list[tuple[Tensor, list[int]]]:
    """Log-mel frames (T, 80) and letters of each sentence of the bundled recording, cut at its longest pauses."""
    mel = torch.from_numpy(log_mel(load_audio(bundled_recording())))
    lines = bundled_text().splitlines()
    energy = mel.mean(dim=1)
    quiet = (energy < energy.quantile(0.3)).tolist()
    pauses, start = [], None
    for frame, silent in enumerate([*quiet, False]):
        if silent and start is None:
            start = frame
        elif not silent and start is not None:
            pauses.append((frame - start, (frame + start) // 2))
            start = None
    inner = [pause for pause in pauses if QUIET <= pause[1] <= len(mel) - QUIET]
    cuts = sorted(middle for _, middle in sorted(inner)[-(len(lines) - 1) :])
    parts = torch.tensor_split(mel, cuts)
    return [(part, encode(line)) for part, line in zip(parts, lines, strict=True)]


def batch(heard: list[tuple[Tensor, list[int]]], size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`size` utterances of one to three sentences each, padded: frames, their lengths, letters, theirs."""
    space, mels, letters = encode(" "), [], []
    for _ in range(size):
        chosen = random.sample(heard, random.randint(1, len(heard)))
        mels.append(torch.cat([mel for mel, _ in chosen]) + 0.3 * torch.randn(1))
        letters.append(torch.tensor([x for _, line in chosen for x in (*line, *space)][:-1]))
    pad = torch.nn.utils.rnn.pad_sequence
    lengths = [torch.tensor([len(each) for each in items]) for items in (mels, letters)]
    return pad(mels, batch_first=True), lengths[0], pad(letters, batch_first=True), lengths[1]


def loss_of(model: Any, rnnt_loss: Any, mel: Tensor, lengths: Tensor, letters: Tensor, counts: Tensor) -> Tensor:
    """The transducer loss behind a predictor that is told wrong letters now and then.

    A model that can trust its predictor learns three sentences by heart and says them as soon as it knows which; one
    that can't has to listen. With data in quantity it must anyway, and `model(mel, lengths, letters, counts)` will do.
    """
    wrong = torch.rand(letters.shape, device=letters.device) < WRONG
    told = torch.where(wrong, torch.randint_like(letters, 1, len(LETTERS) + 1), letters)
    encoded = model.encoder(mel.transpose(1, 2)[:, :, None], lengths)
    predicted = model.predictor(functional.pad(told, (1, 0))[:, None, None])
    logits = model.joiner(encoded, predicted.transpose(2, 3))
    return rnnt_loss(logits, letters, model.encoder.output_lengths(lengths), counts, dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", type=Path, required=True, help="the training/ folder of a build")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("learned.safetensors"))
    given = parser.parse_args()

    sys.path.insert(0, str(given.training.resolve().parent))
    training = importlib.import_module(given.training.name)
    device, set_quantization, rnnt_loss = parts_of(given.training.name)
    random.seed(0)
    torch.manual_seed(0)
    model = getattr(training, training.__all__[0])().to(device)
    heard = sentences()

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=1e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=given.steps, pct_start=0.2)
    started = time.perf_counter()
    for step in range(1, given.steps + 1):
        if step == given.steps * 4 // 5:  # the last fifth learns with the weights that the package will hold
            set_quantization(model, "on")
        loss = loss_of(model, rnnt_loss, *(each.to(device) for each in batch(heard, 3)))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        rate.step()
        if step % 20 == 0:
            seconds = time.perf_counter() - started
            print(f"step {step:4}: loss {float(loss.detach()):8.2f}, {seconds:5.0f} s", flush=True)
    save_file({name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}, given.out)
    print(f"wrote {given.out}")


def parts_of(package: str) -> tuple[torch.device, Any, Any]:
    """The device to train on, what switches quantisation, and the loss, from the modules beside the model."""
    device = importlib.import_module(f"{package}.device").pick_device()
    set_quantization = importlib.import_module(f"{package}.fake_quantize").set_quantization
    return device, set_quantization, importlib.import_module(f"{package}.rnnt_loss").rnnt_loss


if __name__ == "__main__":
    main()
