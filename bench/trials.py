"""Trials of what must lose nothing and never end in an internal error: builds that are killed, interrupted, run out of
disk or meet another one, and commands over damaged builds. Prints what came of each as JSON.

    python bench/trials.py FOLDER SEED COUNT [KIND]

Each trial is a child of one process that has imported everything, so that it costs a build and not a start.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

if __name__ == "__main__":  # called by its path: the tree takes the place of this folder, behind what is installed
    sys.path[:1] = []
    sys.path.append(str(Path(__file__).resolve().parent.parent))
from bench.damage import damage, differs

SPEC = """
model s(width = 8, vocab = 6) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = vocab
    component encoder(mel: f32[B, T, 80]) -> f32[B, T/4, V] {
        x = conv1d(conv1d(mel, width, 3, stride = 2, look_ahead = 1) as c1, width, 3, stride = 2, look_ahead = 1) as c2
        return log_softmax(linear(x, V) as head)
    }
    train { objective = ctc(blank = 0) }
    stream { chunk = 320 ms }
}
"""
MINE = {"training/last.pt": b"weeks of training", "notes.txt": b"mine", "s.mlpackage/more": b"too"}
EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.scandir", "os.link")
WRITES = os.O_WRONLY | os.O_RDWR
ENDING = 150  # events
LONGEST = 120  # seconds of a trial, beyond which it hangs
RUNTIME = re.compile(r"mctc\.targets\.\w+\.runtime\.")  # is copied into people's code, and needs what they have there
TARGETS = ("ane", "torch", "onnx", "coreai")
COMMANDS = ("build", "run", "verify", "why", "compare", "lint")  # over a damaged build, in turn

Files = dict[str, bytes]
Prepare = Callable[[], None]


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code (minus the signal), what it printed, whether it hung."""

    code: int
    text: str
    hung: bool = False

    def faults(self, *codes: int) -> list[str]:
        """What is wrong with that, where these codes are allowed."""
        found = ["it hangs"] if self.hung else []
        found += [word for word in ("internal error", "Traceback") if word in self.text]
        if self.code not in codes and not self.hung:
            found.append(f"exit code {self.code}")
        return [f"{fault}: {self.text[-300:]}" for fault in found]


@dataclass
class Trials:
    """folder: to work in; chance: of all trials."""

    folder: Path
    chance: random.Random
    reference: dict[tuple[str, int], Files] = field(default_factory=dict)
    events: int = 0
    code: int = 0
    turn: int = 0  # how many trials of damage there were

    def judged(self, ended: Ended, *codes: int) -> list[str]:
        """What is wrong with the end of the command that is tried."""
        self.code = ended.code
        return ended.faults(*codes)

    def prepare(self) -> None:
        """Builds what the results are compared with, and counts the events of a build."""
        (self.folder / "s.mct").write_text(SPEC, encoding="utf-8")
        for target in TARGETS:
            self._refer(target, 0)
        self._refer("ane", 1)
        report = self.folder / "events"
        place = self.place()
        child(self.build(place), self.folder, lambda: _at_exit(report, _count()))
        self.events = int(report.read_text())

    def _refer(self, target: str, seed: int) -> None:
        out = self.folder / "reference" / f"{target}-{seed}"
        ended = child(["build", "s.mct", "--target", target, "--seed", str(seed), "-o", str(out)], self.folder)
        if ended.code:
            raise RuntimeError(f"the spec of the trials can't be built for {target}: {ended.text}")
        self.reference[target, seed] = files(out)

    def place(self, target: str = "ane") -> Path:
        """A fresh copy of the old build, with files of the user's in it."""
        shutil.rmtree(self.folder / "place", ignore_errors=True)
        (self.folder / "place").mkdir()
        self.fill(self.folder / "place" / "s", target)
        return self.folder / "place" / "s"

    def fill(self, place: Path, target: str = "ane") -> None:
        shutil.copytree(self.folder / "reference" / f"{target}-0", place)
        for name, content in MINE.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)

    def build(self, place: Path, seed: int = 1) -> list[str]:
        return ["build", str(self.folder / "s.mct"), "--seed", str(seed), "-o", str(place)]

    def losses(self, place: Path, *seeds: int) -> list[str]:
        """What is missing from a folder that should hold one of the builds, whole, and the user's files."""
        if not place.is_dir():
            return ["the folder is gone"]
        found = files(place)
        lost = [f"{name} is lost" for name, content in MINE.items() if found.pop(name, None) != content]
        whole = any(found == self.reference["ane", seed] for seed in seeds)
        return lost + ([] if whole else ["neither the old build nor the new one"])

    def again(self, place: Path) -> list[str]:
        """The next build ends well and leaves nothing beside its folder."""
        faults = child(self.build(place), self.folder).faults(0) + self.losses(place, 1)
        beside = sorted(path.name for path in place.parent.iterdir() if path != place)
        return faults + [f"left beside it: {name}" for name in beside]

    def moment(self) -> int:
        """An event of a build, every other time one of its end, where folders are written and exchanged."""
        return self.chance.randint(self.chance.choice([1, self.events - ENDING]), self.events)

    def killed(self) -> list[str]:
        place, at = self.place(), self.moment()
        ended = child(self.build(place), self.folder, lambda: _signal_at(at, signal.SIGKILL))
        return self.judged(ended, 0, -signal.SIGKILL) + self.losses(place, 0, 1) + self.again(place)

    def interrupted(self) -> list[str]:
        place, at = self.place(), self.moment()
        ended = child(self.build(place), self.folder, lambda: _signal_at(at, signal.SIGINT))
        return self.judged(ended, 0, 130) + self.losses(place, 0, 1) + self.again(place)

    def full_disk(self) -> list[str]:
        """A small disk, a limit on the size of files, or a refusal at one call that writes."""
        place = self.place()
        kind, at = self.chance.randrange(3), self.chance.random()
        held = sum(4 + len(data) // 1024 for data in self.reference["ane", 0].values()) + 4 * len(
            MINE
        )  # kB, and folders
        if kind == 0 and _mount(place.parent, held + 64 + int(2 * at * held)):
            try:
                self.fill(place)
                ended = child(self.build(place), self.folder)
                return self.judged(ended, 0, 1) + self.losses(place, 0, 1)
            finally:
                _unmount(place.parent)
        shutil.rmtree(place, ignore_errors=True)
        self.fill(place)
        limit, event = int(at * 200_000), 1 + int(at * self.events)
        ended = child(
            self.build(place), self.folder, (lambda: _refuse_at(event)) if kind == 2 else lambda: _limit(limit)
        )
        return self.judged(ended, 0, 1) + self.losses(place, 0, 1) + self.again(place)

    def two_at_once(self) -> list[str]:
        """Two builds into one folder, the second a moment later; every other time one of them is killed."""
        place, wait = self.place(), self.chance.random()
        at = self.chance.choice([0, self.moment()])
        one = start(self.build(place, 0), self.folder, lambda: _signal_at(at, signal.SIGKILL))
        time.sleep(0.3 * wait)
        two = start(self.build(place, 1), self.folder)
        first, second = one(), two()
        faults = self.judged(first, 0, *([-signal.SIGKILL] if at else [])) + second.faults(0)
        return faults + self.losses(place, 0, 1) + self.again(place)

    def damaged(self) -> list[str]:
        """A command over a build in which a file is not what it was."""
        target = self.chance.choice(TARGETS)
        place = self.place(target)
        name, done = damage(place, [name for name in files(place) if name not in MINE], self.chance)
        edited = differs(place / name, self.reference[target, 0][name])
        command = COMMANDS[self.turn % len(COMMANDS)]
        self.turn += 1
        before = listed(place)
        ended = child(self.over(place, command), self.folder)
        faults = self.judged(ended, 0, 1, *([2] if command == "lint" else []))
        mine = {name for name in MINE if not (place / name).is_file() or (place / name).read_bytes() != MINE[name]}
        faults += [f"{name} is lost" for name in sorted(mine)]
        if command == "build" and ended.code != 0 and listed(place) != before:
            faults.append("a build that failed changed the folder")
        if command == "build" and ended.code == 0 and edited:
            faults.append("what was changed is lost")
        return [f"{target}: {name}: {done}; {command}: {fault}" for fault in faults]

    def over(self, place: Path, command: str) -> list[str]:
        """A command over a build."""
        more = {
            "run": [str(place), "--audio", str(self.folder / "tone.wav")],
            "verify": [str(place), "--no-runtimes"],
            "why": ["encoder.c1", "--build", str(place)],
            "compare": [str(place)],
            "lint": [str(place)],
        }
        return self.build(place) if command == "build" else [command, *more[command]]


KINDS: dict[str, Callable[[Trials], list[str]]] = {
    "killed": Trials.killed,
    "interrupted": Trials.interrupted,
    "full disk": Trials.full_disk,
    "two at once": Trials.two_at_once,
    "damaged": Trials.damaged,
}


def files(folder: Path) -> Files:
    """Every regular file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def listed(folder: Path) -> list[tuple[str, int, int]]:
    """Name, kind and size of everything below a folder."""
    found = ((path, path.lstat()) for path in sorted(folder.rglob("*")))
    return [(path.relative_to(folder).as_posix(), stat.st_mode, stat.st_size) for path, stat in found]


def child(arguments: list[str], cwd: Path, prepare: Prepare | None = None) -> Ended:
    """One command line in a process of its own, to its end."""
    return start(arguments, cwd, prepare)()


def start(arguments: list[str], cwd: Path, prepare: Prepare | None = None) -> Callable[[], Ended]:
    """Starts one command line; what is returned waits for its end."""
    output = cwd / f"output-{time.monotonic_ns()}"
    pid = os.fork()
    if not pid:
        _command(arguments, cwd, output, prepare)
    began = time.monotonic()

    def ended() -> Ended:
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            late = time.monotonic() - began > LONGEST
            if late and not found:
                os.kill(pid, signal.SIGKILL)
                status = os.waitpid(pid, 0)[1]
            if found or late:
                text = output.read_text(encoding="utf-8", errors="replace")
                output.unlink()
                return Ended(os.waitstatus_to_exitcode(status), text, late and not found)
            time.sleep(0.01)

    return ended


def _command(arguments: list[str], cwd: Path, output: Path, prepare: Prepare | None) -> None:
    """The child: never returns."""
    from mctc.cli.main import run

    code = 70
    try:
        os.chdir(cwd)
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        if prepare:
            prepare()
        code = run(arguments)
        sys.stdout.flush()
    except BaseException as error:  # whatever a command lets through is its fault
        print(f"Traceback: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def _watch(see: Callable[[str, tuple[object, ...]], None]) -> None:
    sys.addaudithook(lambda event, arguments: see(event, arguments) if event in EVENTS else None)


def _signal_at(number: int, wanted: signal.Signals) -> None:
    """Sends this process a signal at its number-th event that touches files."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    left = [number]

    def see(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), wanted)

    _watch(see)


def _refuse_at(number: int) -> None:
    """Refuses, from the number-th event on, everything that takes room on the disk, until something was removed."""
    left = [number]

    def see(event: str, arguments: tuple[object, ...]) -> None:
        left[0] -= 1
        writes = event in ("os.mkdir", "os.link") or (event == "open" and int(str(arguments[2])) & WRITES)
        if left[0] <= 0 and writes and arguments[0] != os.devnull:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), arguments[0])

    _watch(see)


def _limit(size: int) -> None:
    """No file can grow beyond so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _count() -> Callable[[], int]:
    seen = [0]

    def see(*_: object) -> None:
        seen[0] += 1

    _watch(see)
    return lambda: seen[0]


def _at_exit(report: Path, counted: Callable[[], int]) -> None:
    """Writes what was counted when the child ends."""
    leave = os._exit

    def leaving(code: int) -> None:
        report.write_text(str(counted()), encoding="utf-8")
        leave(code)

    os._exit = leaving  # type: ignore[assignment]


def _mount(folder: Path, kilobytes: int) -> bool:
    """Puts a small disk at a folder, emptied before. False where this user can't, or the system has none."""
    from subprocess import DEVNULL, run

    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    shutil.rmtree(folder)
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "mctc-trial", str(folder)]
    return run(command, stdout=DEVNULL, stderr=DEVNULL, check=False).returncode == 0


def _unmount(folder: Path) -> None:
    from subprocess import run

    run(["umount", str(folder)], check=True)


def main(folder: Path, seed: int, count: int, only: str = "") -> list[dict[str, object]]:
    """So many trials, of every kind in turn or of one: kind, number, how the command ended, and what was wrong."""
    import soundfile

    from mctc.plugins import KINDS as KINDS_OF_PLUGINS
    from mctc.plugins import registry

    for package in ("mctc", "mctc.passes", "mctc.targets"):  # a tree may change while its trials run
        for module in walk_packages(import_module(package).__path__, f"{package}."):
            if "__main__" not in module.name and not RUNTIME.match(module.name):
                import_module(module.name)
    for kind in KINDS_OF_PLUGINS:
        for name in registry().names(kind):
            registry().load(kind, name)
    os.environ["NO_COLOR"] = "1"
    soundfile.write(folder / "tone.wav", [0.1, -0.1] * 4000, 16_000)
    trials = Trials(folder, random.Random(seed))
    trials.prepare()
    names = [only] if only else list(KINDS)
    told: list[dict[str, object]] = []
    for number in range(count):
        kind = names[number % len(names)]
        trials.chance = random.Random(f"{seed}:{number}")
        wrong = KINDS[kind](trials)
        told.append({"kind": kind, "number": number, "code": trials.code, "wrong": wrong})
        for fault in wrong:
            print(f"{kind} {number}: {fault}", file=sys.stderr, flush=True)
    return told


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])))
