"""The torch that a project asks for decides about what newer versions mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.linter.mps.check import check_file
from mctc.linter.mps.requirements import torch_at_least

TEXT = "import torch\noptimizer = torch.optim.AdamW(p, fused=True)\n"


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("requirements.txt", "torchaudio==2.8.0\ntorch>=2.6\n", (2, 6)),
        ("requirements-dev.txt", "torch==2.1.0+cu118\n", (2, 1)),
        ("pyproject.toml", 'dependencies = ["numpy", "torch >= 2.5"]\n', (2, 5)),
        ("setup.py", "install_requires=['torch~=2.4.1']", (2, 4)),
        ("environment.yml", "dependencies:\n  - torch=2.7\n", (2, 7)),
        ("requirements.txt", "torch\ntorchvision>=2.9\n", None),
    ],
)
def test_the_oldest_torch_is_read_from_the_files_above(
    tmp_path: Path, name: str, text: str, wanted: tuple[int, int] | None
) -> None:
    (tmp_path / name).write_text(text)
    file = tmp_path / "src" / "train.py"
    file.parent.mkdir()
    file.write_text(TEXT)
    assert torch_at_least(file) == wanted
    assert bool(check_file(file)) is (wanted is None or wanted < (2, 5))
