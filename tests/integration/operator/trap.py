"""A server that nobody may come to: it counts those who do, and answers every command with an error of its own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress


class Trap:
    """Listening on a port of each of these addresses, or on a Unix socket."""

    def __init__(self, answer: str = "no") -> None:
        self.visits: list[str] = []
        self._answer = f"-ERR {answer}\r\n".encode()

    @contextmanager
    def listening(self, *addresses: str, port: int = 0) -> Iterator[int]:
        """Its port, the same at all addresses; one with a slash is a Unix socket's path."""
        servers: list[socket.socket] = []
        try:
            for address in addresses:
                if "/" in address:
                    server = socket.socket(socket.AF_UNIX)
                    server.bind(address)
                    server.listen()
                else:
                    family = socket.AF_INET6 if ":" in address else socket.AF_INET
                    server = socket.create_server((address, port), family=family)
                    port = server.getsockname()[1]
                servers.append(server)
                threading.Thread(target=self._serve, args=(server, address), daemon=True).start()
            yield port
        finally:
            for server in servers:
                with suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)  # wakes the thread up
                server.close()

    def _serve(self, server: socket.socket, address: str) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                self.visits.append(address)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            while asked := connection.recv(4096):
                connection.sendall(self._answer * max(1, asked.count(b"*")))
