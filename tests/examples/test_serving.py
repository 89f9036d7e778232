"""examples/serving: clients hear what was said in their own sound, whatever others send."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import mctc
from mctc.audio import bundled_recording, bundled_text, load_audio
from mctc.driver import BuildOptions, build
from mctc.runtime.model import Model
from tests.conftest import ROOT
from tests.said import SAID

pytest.importorskip("websockets")

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

END_S = 120  # a test that waits for so long has failed


def example(name: str) -> ModuleType:
    spec = spec_from_file_location(f"serving_{name}", ROOT / f"examples/serving/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


server, client = example("server"), example("client")


@pytest.fixture(scope="module")
def model(said: Path) -> Model:
    return mctc.open(said / "trained")


def served(model: Model, talk: Callable[[str], Awaitable[Any]], most: int = 8) -> Any:
    """What a coroutine returns that talks to a server at an address."""

    async def run() -> Any:
        listening = await server.Recognition(model, most=most).serve("127.0.0.1", 0)
        async with listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            return await asyncio.wait_for(talk(f"ws://127.0.0.1:{port}"), END_S)

    return asyncio.run(run())


async def events(url: str, samples: np.ndarray) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    await client.stream(url, samples, lambda event, _: found.append(event), pace=0)
    return found


def finals(found: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in found if event["kind"] == "final"]


async def closed(url: str, *frames: str | bytes, query: str = "") -> int | None:
    """The code that the server closes a connection with after these frames."""
    async with connect(url + query, compression=None) as connection:
        try:
            for frame in frames:
                await connection.send(frame)
            await connection.wait_closed()
        except ConnectionClosed:
            pass
        return connection.close_code


def test_a_client_gets_partials_finals_and_endpoints(model: Model, said: Path) -> None:
    found = served(model, lambda url: events(url, load_audio(said / "pause.wav")))
    assert [event["kind"] for event in found if event["kind"] != "partial"] == ["final", "endpoint", "final"]
    assert finals(found) == [SAID, SAID]
    assert found[0]["kind"] == "partial"
    assert next(event["rule"] for event in found if event["kind"] == "endpoint") == "silence after words"
    assert [word["text"] for word in found[-1]["words"]] == SAID.split()


@pytest.mark.parametrize(
    ("frames", "query", "code"),
    [
        ([b"abc"], "", 1007),
        (["hello"], "", 1003),
        ([bytes(2**18 + 2)], "", 1009),
        ([], "?rate=loud", 1008),
        ([], "?rate=0", 1008),
        (["end"], "", 1000),
        ([b"", "end"], "", 1000),
    ],
)
def test_what_is_no_sound_closes_that_connection_alone(
    frames: list[str | bytes], query: str, code: int, model: Model, said: Path
) -> None:
    samples = load_audio(said / "talks/one.wav")

    async def talk(url: str) -> tuple[int | None, list[dict[str, Any]]]:
        return await asyncio.gather(closed(url, *frames, query=query), events(url, samples))  # type: ignore[return-value]

    found, others = served(model, talk)
    assert found == code
    assert finals(others) == [SAID]


def test_a_client_that_goes_leaves_the_others_and_its_place(model: Model, said: Path) -> None:
    samples = load_audio(said / "talks/one.wav")

    async def leave(connection: ClientConnection) -> None:
        await connection.send(bytes(20_000))
        connection.transport.abort()
        await connection.wait_closed()

    async def talk(url: str) -> list[dict[str, Any]]:
        gone = [await connect(url, compression=None) for _ in range(2)]
        hearing = asyncio.create_task(events(url, samples))
        for connection in gone:
            await leave(connection)
        await hearing
        return await events(url, samples)

    assert finals(served(model, talk, most=3)) == [SAID]


def test_more_clients_than_there_is_room_for_are_told_to_come_again(model: Model) -> None:
    async def talk(url: str) -> int | None:
        async with connect(url) as first:
            await first.send(bytes(64_000))
            await first.recv()
            return await closed(url)

    assert served(model, talk, most=1) == 1013


@pytest.mark.slow  # the shipped model; the events of a small one are above
def test_two_clients_at_once_hear_what_one_hears(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from mctc.cli.demo import model as shipped
    from mctc.cli.demo import words

    spec, weights, tokens = shipped()
    options = BuildOptions(target="onnx", weights=weights, tokens=tokens)
    trained = mctc.open(build(spec, tmp_path / "built", options).folder)
    samples = load_audio(bundled_recording())

    async def talk(url: str) -> list[list[dict[str, Any]]]:
        return await asyncio.gather(events(url, samples), events(url, samples))

    for found in served(trained, talk):
        heard = " ".join(finals(found)).split()
        said = words(bundled_text())
        assert [pair for pair in zip(heard, said, strict=True) if len({*pair}) > 1] == [("coaled", "cold")]
