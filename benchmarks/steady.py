"""A Deployment of stock runners that nobody scales."""

from typing import Any, override

from benchmarks import stock
from benchmarks.setups import Setup, end_pods
from tests.e2e.kubernetes import apply
from tests.e2e.pool import Pool

type Json = dict[str, Any]


class Steady(Setup):
    """One pod of pynenc's own `runner start`."""

    def __init__(self, pool: Pool, name: str, threads: int) -> None:
        super().__init__(name, pool)
        self._threads = threads

    @property
    @override
    def settings(self) -> Json:
        return {"kind": "Deployment", "command": stock.COMMAND, "threads": self._threads}

    @override
    def start(self) -> None:
        apply(stock.deployment(1, self._threads), self.pool.namespace)

    @override
    def stop(self) -> None:
        self.pool.kubectl("delete", "deployment", stock.NAME, "--ignore-not-found")
        end_pods(self, stock.SELECTOR)
