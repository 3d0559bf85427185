"""A round trip after a subscription says that the server has it: the next request finds its listener."""

import asyncio

from shared.messaging.session import BusMessage, BusSession
from shared.messaging.settings import BusSettings

INFO = b'INFO {"server_id":"s","version":"2.15.1","proto":1,"headers":true,"max_payload":1048576}\r\n'


class Server:
    """Speaks just enough to be connected to, and keeps the order of what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        while line := await reader.readline():
            self.told.append(line.split()[0].decode())
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()


async def ignore(_message: BusMessage) -> None:
    """Nothing comes."""


async def test_a_round_trip_does_not_overtake_the_subscription_before_it() -> None:
    server = Server()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        session = await BusSession.open(BusSettings(urls=(f"nats://127.0.0.1:{port}",), name="n1", inbox_prefix="_INBOX"))
        try:
            await session.subscribe("cmd.n1", ignore)
            await session.ping(5)
        finally:
            await session.abort()

    assert server.told[-2:] == ["SUB", "PING"]
