"""Streams a recording to server.py at the pace of live sound, and prints the events.

python client.py talk.wav --url ws://127.0.0.1:8765
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from mctc.audio import bundled_recording, load_audio

RATE = 16_000
FRAME_S = 0.1  # seconds of sound a frame

Seen = Callable[[dict[str, Any], float], None]


async def paced(samples: np.ndarray, began: float, pace: float) -> AsyncIterator[bytes]:
    """Frames of samples in [-1, 1], each when its sound would have been heard; all at once with a pace of 0."""
    written = np.clip(np.rint(samples * 2**15), -(2**15), 2**15 - 1).astype("<i2")
    step = int(FRAME_S * RATE)
    for at in range(0, len(written), step):
        frame = written[at : at + step]
        due = began + pace * (at + len(frame)) / RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        yield frame.tobytes()


async def stream(url: str, samples: np.ndarray, seen: Seen, pace: float = 1.0) -> None:
    """Sends samples and hands each event to `seen`, with the seconds since the sound began."""
    async with connect(f"{url}?rate={RATE}", compression=None, ping_interval=None) as connection:
        began = time.monotonic()
        sending = asyncio.create_task(_send(connection, samples, began, pace))
        try:
            async for message in connection:
                seen(json.loads(message), time.monotonic() - began)
        finally:
            sending.cancel()


async def _send(connection: ClientConnection, samples: np.ndarray, began: float, pace: float) -> None:
    async for frame in paced(samples, began, pace):
        await connection.send(frame)
    await connection.send("end")


def show(event: dict[str, Any], at: float) -> None:
    print(f"{at:6.2f} s  {event['kind']:8}  {event.get('text', event.get('rule', ''))}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", nargs="?", type=Path, default=bundled_recording(), help="mctc's own if left out")
    parser.add_argument("--url", default="ws://127.0.0.1:8765")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds a second of sound; 0 sends all at once")
    options = parser.parse_args()
    asyncio.run(stream(options.url, load_audio(options.recording, RATE), show, options.pace))


if __name__ == "__main__":
    main()
