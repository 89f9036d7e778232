"""Networks as people write them in torch, converted by coremltools as people convert them.

A process of its own: the tests' own has coremltools without torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """A block of a ResNet."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.skip = nn.Sequential() if into == out else nn.Conv2d(into, out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.skip(x))


def resnet() -> nn.Module:
    """A small ResNet, with the stem and the head of the large ones."""
    stem = [nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    body = [Residual(64, 64, 1), Residual(64, 128, 2), Residual(128, 256, 2)]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 1000))


class Attending(nn.Module):
    """A layer of a Transformer, four heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(self.before(x)).reshape(1, 64, 3, 4, self.width // 4).permute(2, 0, 3, 1, 4)
        scores = torch.softmax(q @ k.transpose(-1, -2) * (self.width // 4) ** -0.5, dim=-1)
        x = x + self.out((scores @ v).transpose(1, 2).reshape(1, 64, self.width))
        return x + self.feed(self.between(x))


class Encoder(nn.Module):
    """Token ids, a Transformer encoder, a class for each position."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(1000, 256), nn.Linear(256, 1000)
        self.layers = nn.Sequential(Attending(256), Attending(256))

    def forward(self, ids: Tensor) -> Tensor:
        return torch.softmax(self.head(self.layers(self.embedding(ids))), dim=-1)


class Tagger(nn.Module):
    """An LSTM over frames, as a predictor or a voice-activity net has it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(80, 128, batch_first=True)
        self.head = nn.Linear(128, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.head(self.lstm(x)[0]))


def depthwise() -> nn.Module:
    """Depthwise-separable convolutions, as in a MobileNet."""

    def block(into: int, out: int, stride: int) -> list[nn.Module]:
        return [
            nn.Conv2d(into, into, 3, stride, 1, groups=into), nn.BatchNorm2d(into), nn.ReLU6(),
            nn.Conv2d(into, out, 1), nn.BatchNorm2d(out), nn.ReLU6(),
        ]  # fmt: skip

    layers = [nn.Conv2d(3, 64, 3, 2, 1), *block(64, 128, 1), *block(128, 256, 2), *block(256, 256, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


class Zoo(nn.Module):
    """Every form that other checkers wrongly call a fallback, in one net."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.pool, self.linear = nn.MaxPool2d(2), nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(nn.functional.gelu(self.conv(x)))
        x = torch.cat([x, nn.functional.gelu(x, approximate="tanh")], dim=1)
        x = torch.cat([x, x], dim=-1)
        x = self.pool(x).softmax(dim=1).softmax(dim=2).softmax(dim=3)
        x = self.linear(x.repeat(1, 1, 2, 1))
        return nn.functional.scaled_dot_product_attention(x, x, x)


@dataclass(frozen=True)
class Network:
    """make: the module; example: an input; ids: whether it takes whole numbers."""

    make: Callable[[], nn.Module]
    example: tuple[int, ...]
    ids: bool = False


NETWORKS = {
    "resnet": Network(resnet, (1, 3, 96, 96)),
    "transformer": Network(Encoder, (1, 64), ids=True),
    "lstm": Network(Tagger, (1, 100, 80)),
    "depthwise": Network(depthwise, (1, 3, 96, 96)),
    "zoo": Network(Zoo, (1, 32, 16, 32)),
}
TARGETS = {"iOS15": ct.target.iOS15, "iOS17": ct.target.iOS17, "iOS18": ct.target.iOS18}


def convert(name: str, opset: str, folder: Path) -> Path:
    """The saved package of a network, for an opset."""
    network = NETWORKS[name]
    torch.manual_seed(0)
    module = network.make().eval()
    example = torch.zeros(network.example, dtype=torch.int32) if network.ids else torch.randn(network.example)
    with torch.no_grad():
        traced = torch.jit.trace(module, example, check_trace=False)
    kind: dict[str, Any] = {"dtype": np.int32} if network.ids else {}
    package = ct.convert(
        traced, inputs=[ct.TensorType("x", shape=network.example, **kind)], convert_to="mlprogram",
        minimum_deployment_target=TARGETS[opset], skip_model_load=True,
    )  # fmt: skip
    path = folder / f"{name}_{opset}.mlpackage"
    package.save(str(path))
    return path


if __name__ == "__main__":  # python networks.py FOLDER resnet:iOS18 ...
    for each in sys.argv[2:]:
        convert(*each.split(":"), Path(sys.argv[1]))
