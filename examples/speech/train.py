"""Trains an emitted model.

    python -m speech.train CONF.toml [section.key=value ...]
    torchrun --nproc-per-node 4 -m speech.train CONF.toml [section.key=value ...]

A run that was stopped, or killed at any moment, goes on behind its last checkpoint when it is started again.
"""

from __future__ import annotations

import math
import sys
import time
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

from mctc.audio import MelConfig
from mctc.diagnostics.errors import MctcError

from . import checkpoints
from .augment import at_speed, augmented
from .batches import Lengths, MicroBatch, Step, steps, usable_of
from .config import Config, ConfigError, as_content, read_config
from .emitted import Emitted, Objective, check_classes
from .features import LogMel, spec_augment
from .heard import word_errors
from .journal import Clock, GpuShare, Journal
from .loader import Cuts, loaded
from .optimiser import Average, adamw, rate_of
from .parallel import Processes, bare, gradients_kept, processes, spread, whole
from .sound import Cut, DataError, Sound, Spoken, read_spoken, tokens_of

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
TOLD = ("loss", "norm", "labels", "seconds", "steps")


class RunError(RuntimeError):
    """A run that must not go on."""


class Trainer:
    """One process of a run: data, model, optimiser, and how many steps were made."""

    def __init__(self, config: Config, emitted: Emitted, here: Processes) -> None:
        self.config, self.here, self.run = config, here, Path(config.train.run)
        if config.batch.accumulate % here.world:
            raise ConfigError(f"batch.accumulate = {config.batch.accumulate} is no multiple of {here.world} processes")
        self.run.mkdir(parents=True, exist_ok=True)
        self.tokens = tokens_of(config.data.tokens)
        self.quantized, self.device_part = False, emitted.part("device")
        self.set_quantization = emitted.part("fake_quantize").set_quantization
        self._prepare_model(emitted)
        self._prepare_sound()
        self.step = self._restore()
        self.journal = Journal(self.run, config.train.steps, self.step, here.first)

    def _prepare_model(self, emitted: Emitted) -> None:
        config, here = self.config, self.here
        torch.manual_seed(config.train.seed)
        objective = Objective(emitted, config.model, self.tokens.size)
        check_classes(objective.model, self.tokens.size)
        if config.model.start:
            from safetensors.torch import load_file

            objective.model.load_state_dict(load_file(config.model.start))
        self.least_frames = objective.least_frames()
        objective.model.set_gradient_checkpointing(config.model.checkpointing)  # type: ignore[operator]
        self.scorer = emitted.model().to(here.device)
        self.model = spread(objective.to(here.device), config.train.strategy, here)
        self.optimizer = adamw(self.model, config.optimizer, fused=here.device.type == "cuda")
        self.average = Average(bare(self.model), config.optimizer.ema)

    def _prepare_sound(self) -> None:
        config, here, rate = self.config, self.here, self.config.data.sample_rate
        spoken = read_spoken(config.data.train, self.tokens, rate)
        file = None if self._on_device(spoken) else Path(config.data.cache or self.run) / "sound.i16"
        self.sound = Sound(spoken, here.device, file, fill=file is None or here.local_rank == 0)
        here.wait()
        mel = MelConfig(sample_rate=rate)
        self.features = LogMel(mel, config.augment.vocal_tract).to(here.device)
        labels = np.array([len(each) for each in spoken.labels], np.int64)
        self.lengths = Lengths(spoken.samples, labels, np.array([each.weight for each in spoken.utterances]), rate)
        least = self.least_frames * mel.hop * max((1.0, *config.augment.speed))
        self.usable, left_out = usable_of(self.lengths, config.batch, least)
        if here.first:
            print(
                f"{len(self.usable):,} utterances, {spoken.samples[self.usable].sum() / rate / 3600:.2f} h",
                *left_out,
                sep="\n",
                flush=True,
            )
        dev = read_spoken(config.data.dev, self.tokens, rate)
        self.dev_texts = [" ".join(each.text.split()) for each in dev.utterances]
        self.dev = Sound(dev, torch.device("cpu"), None)

    def _on_device(self, spoken: Spoken) -> bool:
        """Whether the sound lies on the training device: where it is told to, or half of a GPU's memory is enough."""
        store, device = self.config.data.store, self.here.device
        if store != "auto":
            return store == "device"
        total = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 1 << 33
        return 2 * int(spoken.samples.sum()) <= total // 2

    def train(self) -> None:
        """All steps, or as many as the time allows. A run ends at a line of its log."""
        train = self.config.train
        share = GpuShare(train.profile and self.here.device.type == "cuda")
        deadline = time.monotonic() + 60 * train.minutes if train.minutes else float("inf")
        plan = steps(self.lengths, self.usable, self.config.batch, train.seed, self.step)
        told, clock = self._nothing_told(), Clock(self.here.device)
        for step, cuts in loaded(islice(plan, train.steps - self.step), self.sound, self.here):
            if (busy := share.step()) is not None:
                self.journal.write(self.step, {"gpu_computes": busy})
            clock.begin()
            loss, norm = self._advance(step, cuts)
            clock.end()
            news: tuple[Tensor | float, ...] = (loss, norm, step.labels, step.seconds, 1)
            told = [have + new for have, new in zip(told, news)]
            self.step = step.number + 1
            if self.step % train.log_every and self.step != train.steps:
                continue
            done = self._done(deadline)
            self._tell(step, dict(zip(TOLD, self._totals(told))), clock)
            if done or self.step % train.save_every == 0:
                self.save()
            if self.dev_texts and (done or self.step % train.dev_every == 0):
                self.score()
            told = self._nothing_told()
            clock.restart()
            if done:
                break
        self.journal.close()

    def _advance(self, step: Step, cuts: Cuts) -> tuple[Tensor, Tensor]:
        """One step of the optimiser: this process' part of the sum of losses, and the norm of the gradient."""
        config = self.config
        self._quantize(step.number)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step.number)
        self.model.train()
        total = torch.zeros((), device=self.here.device)
        share = step.labels if config.train.per_label else step.utterances
        for at, (batch, cut) in enumerate(cuts):
            with gradients_kept(self.model, at < len(cuts) - 1):
                loss = self._loss(batch, cut) * len(batch.utterances)
                # Gradients are averaged over the processes; what is wanted is the sum.
                (loss * (self.here.world / share)).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(bare(self.model), step.number)
        return total, whole(norm)

    def _loss(self, batch: MicroBatch, cut: Cut) -> Tensor:
        """The mean loss of a micro-batch. Whatever is random in it depends on the seed and its number alone."""
        config = self.config
        seed = (config.train.seed * 1_000_003 + batch.number) % (1 << 62)
        torch.manual_seed(seed)
        with torch.no_grad():
            samples, lengths = cut.samples.float() / 32768.0, cut.lengths
            if config.augment.speed:
                samples, lengths = at_speed(samples, lengths, Random(seed).choice(config.augment.speed))
            samples = augmented(samples, lengths, config.data.sample_rate, config.augment)
            mel, frames = self.features.train()(samples, lengths)
            mel = spec_augment(mel, frames, config.augment)
        with self.device_part.autocast(self.here.device, self._dtype()):
            loss: Tensor = self.model(mel, frames, cut.labels, cut.counts)
        return loss

    def _dtype(self) -> torch.dtype | None:
        named = self.config.train.precision
        return None if named == "auto" else getattr(torch, named)

    def _rate(self, step: int) -> float:
        return rate_of(step, self.config.train.steps, self.config.optimizer, self.config.quantize)

    def _quantize(self, step: int) -> None:
        """From `quantize.from_step` on the weights are those that the package will hold."""
        begin = self.config.quantize.from_step
        if begin and step >= begin and not self.quantized:
            self.set_quantization(bare(self.model), "on")
            self.set_quantization(self.scorer, "on")
            self.quantized = True

    def _nothing_told(self) -> list[Tensor]:
        return [torch.zeros((), device=self.here.device) for _ in TOLD]

    def _totals(self, told: list[Tensor]) -> list[float]:
        """What all processes saw since the last line; waits for the device."""
        told[0] = self.here.total(told[0].clone())
        return torch.stack([each.float() for each in told]).tolist()

    def _done(self, deadline: float) -> bool:
        """Whether all processes end here: one of them ran out of time, or the last step is made."""
        late = torch.tensor(float(time.monotonic() > deadline), device=self.here.device)
        return bool(self.here.total(late) > 0) or self.step == self.config.train.steps

    def _tell(self, step: Step, told: dict[str, float], clock: Clock) -> None:
        wall, in_steps = clock.read()
        if not math.isfinite(told["loss"]):
            raise RunError(f"the loss is {told['loss']} in the steps before {self.step}; nothing was saved of them")
        values = {
            "loss": told["loss"] / told["labels"],
            "norm": told["norm"] / told["steps"],
            "rate": self._rate(step.number),
            "epoch": step.epoch,
            "speech_s_per_s": told["seconds"] / wall,
            "steps_per_s": told["steps"] / wall,
        }
        self.journal.reached(self.step)
        self.journal.write(self.step, values if in_steps is None else {**values, "in_steps": in_steps})

    def score(self) -> None:
        """Words wrong on the dev set, with the average weights; each process hears a part."""
        values = {name.removeprefix("model."): whole(value) for name, value in self.average.values.items()}
        self.scorer.load_state_dict(values, strict=False)
        part = slice(self.here.rank, None, self.here.world)
        counts = word_errors(self.scorer, self.dev, self.dev_texts, self.features, self.tokens, part)
        both = torch.tensor([counts.errors, counts.said], dtype=torch.float32, device=self.here.device)
        wrong, said = self.here.total(both).tolist()
        self.journal.write(self.step, {"dev_wer": wrong / max(said, 1.0)})

    def save(self) -> None:
        """All processes gather, the first one writes."""
        model, optimizer = get_state_dict(self.model, self.optimizer, options=WHOLE)
        average = {name: whole(value).cpu() for name, value in self.average.values.items()}
        if self.here.first:
            content = {
                "model": model, "optimizer": optimizer, "average": average, "step": self.step,
                "config": as_content(self.config),
            }  # fmt: skip
            checkpoints.save(self.run, self.step, content, self.config.train.keep)
        self.here.wait()

    def _restore(self) -> int:
        """Takes over the last checkpoint of the run, if there is one; how many steps it has behind it."""
        found = checkpoints.found(self.run)
        if not found:
            step = 0
        else:
            content: dict[str, Any] = checkpoints.load(found[-1])
            set_state_dict(
                self.model, self.optimizer, model_state_dict=content["model"],
                optim_state_dict=content["optimizer"], options=WHOLE,
            )  # fmt: skip
            self.average.load(content["average"])
            step = int(content["step"])
        self.here.wait()
        if self.here.first:
            checkpoints.rewind_log(self.run, step)
        return step


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        config = read_config(arguments)
        emitted = Emitted(config.model.training)
        device_part = emitted.part("device")
        device = device_part.pick_device(config.train.device or None)
        device_part.check_fallback(device)
        device_part.limit_memory(device)
        with processes(device) as here:
            Trainer(config, emitted, here).train()
    except (ConfigError, DataError, RunError, MctcError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
