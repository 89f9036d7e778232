"""CPU time of the whole `mctc build` process."""

from __future__ import annotations

import json

from bench.process import Command, alternate, cpu, spread
from bench.row import Row
from bench.setting import Setting

FRAMES, BLOCKS = 32, 8
PEER_FACTOR, DEPTH_FACTOR = 15, 9


def against_peer(setting: Setting) -> list[Row]:
    """Both start from source and end with a package on disk; mctc's time includes reading back and evaluating."""
    what, must = "CPU time of the whole `mctc build` process against the peer's script", f"≥ {PEER_FACTOR}x less"
    if setting.peer is None:
        return [Row(what, must, "not measured: no --peer was given", False)]
    sides: dict[str, Command] = {
        "mctc": [setting.mctc, "build", setting.small, "--target", "ane", "-o", setting.work / "against_peer"],
        "peer": [setting.python, setting.peer, str(FRAMES), str(BLOCKS), setting.work / "peer.mlpackage"],
    }
    runs = alternate(sides, setting.pairs, setting.work, setting.environment)
    ratio = cpu(runs["peer"]) / cpu(runs["mctc"])
    note = f"mctc {spread(runs['mctc'])}, peer {spread(runs['peer'])}; medians of {setting.pairs} alternating runs"
    note += "; the peer's package has {ops} ops, {transposes} transposes, {states} states".format(
        **json.loads(runs["peer"][-1].output.splitlines()[-1])
    )
    return [Row(what, must, f"{ratio:.1f}x less", ratio >= PEER_FACTOR, note)]


def against_depth(setting: Setting) -> list[Row]:
    """Eight times the layers may cost no more than nine times the time."""

    def command(depth: int) -> Command:
        return [setting.mctc, "build", setting.small, "-D", f"depth={depth}", "-o", setting.work / f"depth_{depth}"]

    runs = alternate({str(n): command(n) for n in (8, 64)}, setting.pairs, setting.work, setting.environment)
    ratio = cpu(runs["64"]) / cpu(runs["8"])
    note = f"depth 8: {spread(runs['8'])}, depth 64: {spread(runs['64'])}; medians of {setting.pairs} alternating runs"
    return [
        Row("the same for depth 64 against depth 8", f"≤ {DEPTH_FACTOR}x", f"{ratio:.1f}x", ratio <= DEPTH_FACTOR, note)
    ]
