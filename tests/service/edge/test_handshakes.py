"""Connections that are accepted, or not, before their handshake."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

import pytest

from service.edge import handshakes
from service.edge.handshakes import NUM_TOLD, HandshakeServer


async def _beside(
    shake_hands: Callable[[socket.socket], Awaitable[object]], work: Callable[[tuple[str, int]], Awaitable[None]]
) -> list[str]:
    """Do `work` with the address of a server that has place for one handshake; who was refused."""
    refused: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = HandshakeServer(
            listener, shake_hands, num_open=lambda: NUM_TOLD, max_open=1, on_refused=refused.append
        )
        await work(listener.getsockname())
        server.close()
        await server.wait_closed()
    return refused


async def _told(address: tuple[str, int]) -> bytes:
    """What a client that says nothing gets until it is closed."""
    with socket.create_connection(address) as client:
        client.setblocking(False)
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 100), 10)


def test_one_more_than_may_be_is_closed_until_a_handshake_has_ended() -> None:
    async def scene() -> None:
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def shake_hands(connection: socket.socket) -> None:
            begun.set()
            await may_end.wait()
            connection.sendall(b"no")
            connection.close()
            raise OSError("no handshake")

        async def work(address: tuple[str, int]) -> None:
            first = asyncio.create_task(_told(address))
            await begun.wait()
            assert [await _told(address) for _ in range(3)] == [b""] * 3
            may_end.set()
            assert await first == b"no"
            assert await _told(address) == b"no"

        assert await _beside(shake_hands, work) == ["127.0.0.1"] * 3

    asyncio.run(scene())


def test_it_goes_on_when_the_system_had_no_descriptor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handshakes, "ACCEPT_AGAIN_S", 0.0)

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        accept, errors = loop.sock_accept, [OSError(24, "Too many open files"), ConnectionAbortedError()]

        async def failing(listener: socket.socket) -> tuple[socket.socket, object]:
            if errors:
                raise errors.pop(0)
            return await accept(listener)

        async def shake_hands(connection: socket.socket) -> None:
            connection.sendall(b"yes")
            connection.close()

        async def work(address: tuple[str, int]) -> None:
            assert await _told(address) == b"yes"

        monkeypatch.setattr(loop, "sock_accept", failing)
        assert await _beside(shake_hands, work) == []

    with caplog.at_level(logging.ERROR, "service"):
        asyncio.run(scene())
    assert caplog.messages == ["no connection can be accepted now: Too many open files"]
