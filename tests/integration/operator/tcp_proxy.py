"""A way to the API server that can be cut: packets vanish, or connections are closed."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.cluster.half_cluster import HalfCluster


class TcpProxy:
    """Forwards a port of loopback. `vanish` swallows whatever is sent, both ways, without closing anything."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()  # to those that have connected

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.close_connections()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def vanish(self) -> None:
        """From now on nothing arrives, as when a node is gone."""
        self._open.clear()

    def swallow_open_connections(self) -> None:
        """Nothing arrives on the connections that are open, as if a device between had forgotten them."""
        self._open.clear()
        self._open = asyncio.Event()
        self._open.set()

    def appear(self) -> None:
        """What is sent from now on arrives; connections that were cut stay so, as their peers have given up."""
        self.close_connections()
        self._open.set()

    def close_connections(self) -> None:
        """End all connections."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        self.open.add(writer)
        passing = self._open
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await passing.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            self._writers.add(far_writer)
            try:
                await asyncio.gather(self._pump(reader, far_writer, passing), self._pump(far_reader, writer, passing))
            finally:
                self._end(far_writer)
        self._end(writer)
        self.open.discard(writer)
        self._tasks.discard(task)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        self._writers.discard(writer)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        while data := await source.read(65536):
            await passing.wait()
            sink.write(data)
            await sink.drain()
        sink.transport.abort()


def proxy_to(cluster: HalfCluster) -> TcpProxy:
    """A proxy to the API server; its certificate is also for loopback."""
    target = urlsplit(cluster.server)
    assert target.hostname
    assert target.port
    return TcpProxy(target.hostname, target.port)


def kubeconfig_through(cluster: HalfCluster, proxy: TcpProxy, folder: Path) -> Path:
    """The administrator's kubeconfig, by way of the proxy."""
    config = json.loads(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    file = folder / f"proxy-{proxy.port}.kubeconfig"
    file.write_text(json.dumps(config))
    return file
