"""Makes lint-page.png: a speech encoder converted as it is written in torch, linted, and the page as Chromium shows it.

    python docs/images/lint_page.py docs/images/lint-page.png

Needs torch, Pillow and a chromium on the path.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import coremltools as ct
import torch
from PIL import Image
from torch import Tensor, nn

WINDOW = (1280, 1830)
TIME, WIDTH = 256, 512
COLOURS = 128


class Layer(nn.Module):
    """Attention and a feed-forward part, channels last."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(self.before(x)).reshape(1, TIME, 3, 4, WIDTH // 4).permute(2, 0, 3, 1, 4)
        scores = torch.softmax(q @ k.transpose(-1, -2) * (WIDTH // 4) ** -0.5, dim=-1)
        x = x + self.out((scores @ v).transpose(1, 2).reshape(1, TIME, WIDTH))
        return x + self.feed(self.between(x))


class Speech(nn.Module):
    """Two strided convolutions, four layers, an LSTM, four layers more, and scores of tokens."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.subsample = nn.Sequential(
            nn.Conv1d(80, width, 3, 2, 1), nn.GELU(), nn.Conv1d(width, width, 3, 2, 1), nn.GELU()
        )
        self.first = nn.Sequential(*(Layer() for _ in range(4)))
        self.memory = nn.LSTM(width, width, batch_first=True)
        self.second = nn.Sequential(*(Layer() for _ in range(4)))
        self.head = nn.Linear(width, 1024)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.first(self.subsample(mel).transpose(1, 2))
        return torch.log_softmax(self.head(self.second(self.memory(x)[0])), dim=-1)


def convert(path: Path) -> None:
    mel = torch.zeros(1, 80, 4 * TIME)
    traced = torch.jit.trace(Speech().eval(), mel)
    model = ct.convert(
        traced,
        inputs=[ct.TensorType("mel", mel.shape)],
        minimum_deployment_target=ct.target.iOS18,
        skip_model_load=True,
    )
    model.save(str(path))


def main(image: Path) -> None:
    with TemporaryDirectory() as folder:
        convert(Path(folder, "speech.mlpackage"))
        lint = [sys.executable, "-m", "mctc", "lint", "speech.mlpackage", "--device", "m4", "--format", "html"]
        subprocess.run([*lint, "-o", "page.html"], cwd=folder, check=False)  # it has findings
        page = Path(folder, "page.html")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        flags += [f"--user-data-dir={folder}/profile", f"--window-size={WINDOW[0]},{WINDOW[1]}"]
        flags += ["--virtual-time-budget=3000", f"--screenshot={image.absolute()}"]
        shown = f"{page.as_uri()}#package=0&function=0&op={the_lstm(page)}"
        subprocess.run(["chromium", *flags, shown], check=True, capture_output=True)
    Image.open(image).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(image, optimize=True)


def the_lstm(page: Path) -> int:
    """Its position among the ops of the page."""
    data = page.read_text(encoding="utf-8").partition('id="data">')[2].partition("</script>")[0]
    ops = json.loads(data)["packages"][0]["functions"][0]["ops"]
    position: int = ops["type"].index(ops["types"].index("lstm"))
    return position


if __name__ == "__main__":
    main(Path(sys.argv[1]))
