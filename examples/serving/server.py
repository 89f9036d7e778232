"""Serves a build to WebSocket clients: samples in, events out, a stream for each client.

    python server.py BUILD --port 8765

README.md has the protocol.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

import mctc
from mctc.diagnostics.errors import MctcError
from mctc.runtime.events import Event, Stream
from mctc.runtime.model import Model

END = "end"
SAMPLE = np.dtype("<i2")
MOST_BYTES = 2**18  # of a frame: 8 s at 16 kHz
SILENT_S = 300  # a client that answers no ping for so long is gone; answers wait behind sound that is not read yet
WAITING = 4  # frames of a client that are kept until their turn comes; behind them its TCP connection waits


class RefusedError(Exception):
    """What a client did wrong, and the code that its connection is closed with."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Recognition:
    """Streams of one model. The event loop waits for clients, threads compute; at most `most` clients at a time."""

    def __init__(self, model: Model, threads: int = 2, most: int = 64) -> None:
        self.model, self.most, self.clients = model, most, 0
        self.threads = ThreadPoolExecutor(threads, "recognition")

    async def serve(self, host: str, port: int, reuse_port: bool = False) -> Server:
        """Listens on a port, 0 for any that is free, until the server is closed. Sound is not compressed."""
        return await serve(
            self.handle,
            host,
            port,
            max_size=MOST_BYTES,
            max_queue=WAITING,
            compression=None,
            ping_timeout=SILENT_S,
            reuse_port=reuse_port or None,
        )

    async def handle(self, connection: ServerConnection) -> None:
        """One client, from its first frame to its last."""
        self.clients += 1
        try:
            await self._hear(connection)
        except ConnectionClosed:
            pass  # the client has gone, and its stream with it
        except RefusedError as refused:
            await connection.close(refused.code, refused.reason)
        except (MctcError, ValueError) as error:  # of this stream alone
            await connection.close(CloseCode.INTERNAL_ERROR, str(error)[:100])
        finally:
            self.clients -= 1

    async def _hear(self, connection: ServerConnection) -> None:
        if self.clients > self.most:
            raise RefusedError(CloseCode.TRY_AGAIN_LATER, f"{self.most} streams are being heard")
        stream = self._stream(connection)
        loop = asyncio.get_running_loop()
        async for frame in connection:
            if frame == END:
                events = await loop.run_in_executor(self.threads, stream.close)
            else:
                events = await loop.run_in_executor(self.threads, stream.push, samples(frame))
            for event in events:
                await connection.send(written(event))
            if frame == END:
                return

    def _stream(self, connection: ServerConnection) -> Stream:
        path = "" if connection.request is None else connection.request.path
        try:
            return self.model.stream(rate=int(parse_qs(urlsplit(path).query).get("rate", ["16000"])[0]))
        except ValueError as error:
            raise RefusedError(CloseCode.POLICY_VIOLATION, "the rate is no number of Hz that sound has") from error


def samples(frame: str | bytes) -> np.ndarray:
    """The samples of a binary frame. Raises RefusedError for other frames."""
    if isinstance(frame, str):
        raise RefusedError(CloseCode.UNSUPPORTED_DATA, f"text other than '{END}'")
    if len(frame) % SAMPLE.itemsize:
        raise RefusedError(CloseCode.INVALID_DATA, "a sample has 2 bytes, and the frame's number of bytes is odd")
    return np.frombuffer(frame, SAMPLE)


def written(event: Event) -> str:
    """An event as JSON, without what it does not have."""
    return json.dumps({key: value for key, value in asdict(event).items() if value not in ("", (), None)})


async def run(model: Model, options: argparse.Namespace) -> None:
    recognition = Recognition(model, options.threads, options.most)
    server = await recognition.serve(options.host, options.port, options.reuse_port)
    print(f"listening on port {next(iter(server.sockets)).getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765, help="0 for any that is free")
    parser.add_argument("--threads", type=int, default=2, help="that compute")
    parser.add_argument("--most", type=int, default=64, help="clients at a time")
    parser.add_argument("--reuse-port", action="store_true", help="several such processes share the port (Linux)")
    options = parser.parse_args()
    try:
        model = mctc.open(options.build)
        model.stream()  # what is wrong with the build is said at once, and not to the first client
        asyncio.run(run(model, options))
    except KeyboardInterrupt:
        pass
    except (MctcError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
