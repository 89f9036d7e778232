"""festival by its program, which reads Scheme: a process says many texts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from corpus.sound import Said, of_wav
from corpus.voice import Manner

PROGRAM, DATA = "usr/bin/festival", "usr/share/festival"
VOICES = {"kal": "voice_kal_diphone", "ked": "voice_ked_diphone", "slt-hts": "voice_cmu_us_slt_arctic_hts"}
DIPHONES = ("kal", "ked")  # their pitch is set; that of the statistical voice is its own
PITCH_HZ, DEVIATION_HZ = 105, 14
SAY = '(set! said (SynthText "{text}"))\n(utt.save.wave said "{path}" \'riff)\n'


class Festival:
    """Two diphone voices and one by hidden Markov models, all American."""

    name = "festival"
    voices = tuple(VOICES)
    warps = True

    def __init__(self, root: Path, libraries: Path) -> None:
        """root: a folder with what Debian's packages hold; libraries: where its shared libraries lie."""
        self._root, self._libraries = root, libraries

    def speak(self, asked: Sequence[tuple[str, Manner]]) -> Iterator[Said | None]:
        with TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{number}.wav" for number in range(len(asked))]
            self._say([(_scheme(*each, path), path) for each, path in zip(asked, paths, strict=True)], folder)
            written = {path for path in paths if path.is_file() and path.stat().st_size}
            if asked and not written:
                raise RuntimeError(f"festival says none of {len(asked)} texts, {asked[0][0]!r} for one")
            for path in paths:
                yield of_wav(path.read_bytes()) if path in written else None

    def _say(self, scripts: Sequence[tuple[str, Path]], folder: str) -> None:
        """Runs scripts in one process. A few texts end it: each half is then said by itself, and those go unsaid, what
        was written of them too."""
        try:
            self._run("".join(script for script, _ in scripts), folder)
        except RuntimeError:
            middle = len(scripts) // 2
            for half in (scripts[:middle], scripts[middle:]) if middle else ():
                self._say(half, folder)
            if not middle:
                scripts[0][1].unlink(missing_ok=True)

    def _run(self, script: str, home: str) -> None:
        data = self._root / DATA
        command: list[str | Path] = [self._root / PROGRAM, "--datadir", data, "--libdir", data, "--pipe"]
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self._libraries), "HOME": home, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, input=script.encode(), capture_output=True, env=environment, check=False)
        if done.returncode or b"ERROR" in done.stderr:
            raise RuntimeError(f"festival: {done.stderr.decode(errors='replace').strip()[-400:]}")


def _scheme(text: str, manner: Manner, path: Path) -> str:
    lines = [f"({VOICES[manner.voice]})", f"(Parameter.set 'Duration_Stretch {1 / manner.speed:.4f})"]
    if manner.voice in DIPHONES:
        mean, deviation = PITCH_HZ * manner.pitch, DEVIATION_HZ * manner.pitch * manner.range
        target = f"(target_f0_mean {mean:.2f}) (target_f0_std {deviation:.2f})"
        lines.append(f"(set! int_lr_params '({target} (model_f0_mean 170) (model_f0_std 34)))")
    return "\n".join(lines) + "\n" + SAY.format(text=text, path=path)
