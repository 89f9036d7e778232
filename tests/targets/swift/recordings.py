"""Recordings heard by the emitted tool, compiled with -O, and by mctc: token for token and time for time.

    python -m tests.targets.swift.recordings MANIFEST [--count 104] [--shortest] [--spec mct_small]

MANIFEST: NeMo's form, such as bench/asterisk_prompts.py writes. It takes Swift as `.ci/swift` does
(MCTC_SWIFT_TOOLCHAIN), and minutes: every call of Core ML is one of mctc's evaluator.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile as sf

from mctc.audio import load_audio
from mctc.decode.settings import Settings
from mctc.driver import BuildOptions, build
from tests.targets.swift.expected import RATE, Sound, record_of
from tests.targets.swift.toolchain import find_toolchain
from tests.targets.swift.workspace import Workspace, prepare

ROOT = Path(__file__).parents[3]
LIMIT_S = 24 * 3600
SEARCHES = ((Settings(), ()), (Settings(method="beam", beam=4), ("--search", "beam", "--beam", "4")))


def main() -> None:
    parser = argparse.ArgumentParser(description="Recordings heard by an emitted package and by mctc.")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--count", type=int, default=104)
    parser.add_argument("--shortest", action="store_true", help="of all recordings the shortest ones")
    parser.add_argument("--spec", default="mct_small", help="of spec/, with the weights of spec/trained")
    asked = parser.parse_args()
    toolchain = find_toolchain()
    if toolchain is None:
        parser.exit(2, "needs Swift 6: .ci/swift sets it up\n")
    sounds = sounds_of(asked.manifest, asked.count, asked.shortest)
    print(f"{len(sounds)} recordings, {sum(map(len, sounds)) / RATE:.0f} s")
    place = toolchain.workspace()
    try:
        with TemporaryDirectory() as folder:
            built, trained = Path(folder) / "build", ROOT / "spec/trained"
            weights, tokens = trained / f"{asked.spec}.safetensors", trained / "pieces.model"
            build(ROOT / f"spec/{asked.spec}.mct", built, BuildOptions(target="swift", weights=weights, tokens=tokens))
            workspace = prepare(toolchain, built, place, optimised=True, limit_s=LIMIT_S)
            workspace.build(workspace.product)
            for settings, options in SEARCHES:
                compare(workspace, built, sounds, settings, options, Path(folder))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def sounds_of(manifest: Path, count: int, shortest: bool) -> list[Sound]:
    """The first recordings of a manifest of half a second at least, or the shortest of these."""
    entries = map(json.loads, manifest.read_text(encoding="utf-8").splitlines())
    paths = [manifest.parent / entry["audio_filepath"] for entry in entries]
    if not shortest:
        paths = paths[: 2 * count]
    sounds = [sound for path in paths if len(sound := load_audio(path, RATE)) >= RATE // 2]
    return sorted(sounds, key=len)[:count] if shortest else sounds[:count]


def compare(
    workspace: Workspace, built: Path, sounds: list[Sound], settings: Settings, options: tuple[str, ...], folder: Path
) -> None:
    """Prints how many labels both hear, and each recording that is heard otherwise."""
    labels = differ = 0
    for number, sound in enumerate(sounds):
        path = folder / f"{number:04}.wav"
        sf.write(path, sound, RATE, subtype="FLOAT")
    paths = sorted(folder.glob("*.wav"))
    for sound, found in zip(sounds, workspace.transcribe(paths, folder / "cache", *options), strict=True):
        expected = record_of(built, sound, settings)
        labels += len(expected["tokens"])
        heard = {**found, "seconds": found["seconds"]["audio"]}
        heard.pop("audio")
        if heard != expected:
            differ += 1
            print(f"{found['audio']}: {heard['text']!r}, not {expected['text']!r}")
    print(f"{settings.method}: {labels} labels, {differ} of {len(sounds)} recordings differ", flush=True)


if __name__ == "__main__":
    main()
