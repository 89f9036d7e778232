"""The emitted PyTorch module: against the program it was emitted from, and against the package of its checkpoint."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.row import Row
from bench.setting import Setting
from bench.speech import short_mel
from mctc.ir.op import Array

if TYPE_CHECKING:
    from torch import Tensor

MODULE, PACKAGE, DECIBELS = 1e-5, 1e-4, 40.0
STEPS, TOKENS = 3, 32


def rows(setting: Setting) -> list[Row]:
    """mct_small at its own size, over the bundled recording."""
    training = _import(setting.built)
    mel = short_mel()
    mel = mel[: len(mel) // 32 * 32]
    return [*_against_program(setting, training, mel), *_against_package(setting, training, mel)]


def _import(built: Path) -> ModuleType:
    sys.path.insert(0, str(built))
    try:
        return importlib.import_module("training")
    finally:
        sys.path.remove(str(built))


def _against_program(setting: Setting, training: ModuleType, mel: Array) -> list[Row]:
    """The module with the build's initial weights; fp64 reference semantics on the other side."""
    import torch

    from mctc.evaluate.reference import evaluate
    from mctc.numerics.difference import relative_error
    from mctc.proof.proof import Proof
    from mctc.weights import Weights

    whole = Proof(setting.built).whole
    weights = Weights(whole.sources, 0, cache=True)
    model = training.MctSmall().eval()
    trained = [name for name in model.state_dict() if name in whole.parameters]  # not the heads of training
    values = {name: torch.from_numpy(weights.value(whole.parameters[name]).copy()) for name in trained}
    model.load_state_dict({**model.state_dict(), **values})
    rng = np.random.default_rng(0)
    inputs = {
        "encoder": {"mel": mel.T[None, :, None].astype(np.float64)},
        "predictor": {"token": rng.integers(0, 1001, (1, 1, 1, TOKENS))},
        "joiner": {"enc": rng.normal(size=(1, 256, 1, 16)), "pred": rng.normal(size=(1, 256, TOKENS, 1))},
    }
    forward: dict[str, float] = {}
    steps: dict[str, float] = {}
    for name, given in inputs.items():
        function = whole.functions[name]
        expected = evaluate(function, given, lambda each: weights.exact(whole.parameters[each]))[0]["output"]
        tensors = [_tensor(array) for array in given.values()]
        component = getattr(model, name)
        valid = whole.vocabularies[0].valid if name == "joiner" else None
        with torch.no_grad():
            forward[name] = relative_error(expected[:, :valid], component(*tensors).numpy()[:, :valid])
            if name != "joiner":  # it has no state: its step is its forward
                streamed = _stream(component, tensors[0], 32 if name == "encoder" else 1)
                steps[name] = relative_error(expected, streamed.numpy())
    what = "emitted PyTorch module, fp32, against the IR's reference in fp64: "
    return [_row(f"{what}forward, encoder / predictor / joiner", forward), _row(f"{what}steps of a stream", steps)]


def _row(what: str, errors: dict[str, float]) -> Row:
    measured = " / ".join(f"{error:.1e}" for error in errors.values())
    return Row(what, f"≤ {MODULE:.0e} relative", measured, max(errors.values()) <= MODULE)


def _tensor(array: Array) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(array.astype(np.float32 if array.dtype.kind == "f" else np.int64)))


def _stream(component: Any, x: Tensor, chunk: int) -> Tensor:
    import torch

    state, parts = component.initial_state(1), []
    for piece in torch.split(x, chunk, 3):
        part, state = component.step(piece, state)
        parts.append(part)
    return torch.cat(parts, dim=3)


def _against_package(setting: Setting, training: ModuleType, mel: Array) -> list[Row]:
    """A few steps of AdamW with quantisation on, a build with the checkpoint, both sides with the package's weights."""
    import torch
    from safetensors.torch import save_file

    from mctc.numerics.difference import signal_to_noise
    from mctc.runtime.built import open_built

    model, checkpoint = _trained(training, mel), setting.work / "trained.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, checkpoint)
    folder = setting.work / "trained"
    setting.run([setting.mctc, "build", setting.small, "--weights", checkpoint, "-o", folder])
    _round(model)
    features = _tensor(mel.T[None, :, None])
    with torch.no_grad():
        expected = _stream(model.encoder, features, 32).numpy()
    built = open_built(folder)
    exact, half = (_evaluated(built, features.numpy(), precision) for precision in ("fp32", "fp16"))
    error = float(np.abs(exact - expected).max() / np.abs(expected).max())
    ratio = signal_to_noise(expected, half)
    note = (
        f"{STEPS} steps of AdamW on the bundled recording, quantisation on; {len(mel) // 32} chunks through the encoder"
    )
    what = "build with a trained checkpoint, the package evaluated, against the module with the weights it stores: "
    return [
        Row(f"{what}fp32", f"≤ {PACKAGE:.0e} relative", f"{error:.1e}", error <= PACKAGE, note),
        Row(f"{what}fp16", f"≥ {DECIBELS:g} dB", f"{ratio:.1f} dB", ratio >= DECIBELS),
    ]


def _trained(training: ModuleType, mel: Array) -> Any:
    import torch

    torch.manual_seed(0)
    model = training.MctSmall()
    importlib.import_module("training.fake_quantize").set_quantization(model, "on")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    targets = torch.randint(1, 1001, (1, TOKENS))
    batch = (torch.from_numpy(mel)[None], torch.tensor([len(mel)]), targets, torch.tensor([TOKENS]))
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(*batch).backward()
        optimizer.step()
    return model.eval()


def _round(model: Any) -> None:
    """What is not compressed is stored in fp16, A as -exp(A_log)."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            owner, _, attribute = name.rpartition(".")
            if name.endswith("A_log"):
                parameter.copy_(parameter.exp().half().float().log())
            elif f"{attribute}_quantizer" not in dict(model.get_submodule(owner).named_children()):
                parameter.copy_(parameter.half().float())


def _evaluated(built: Any, features: Array, precision: Any) -> Array:
    from mctc.runtime.step import Packages

    step = Packages(built, precision).step("encoder")
    count = features.shape[3] // 32
    return np.concatenate([step({"mel": part})["output"] for part in np.split(features, count, axis=3)], axis=3)
