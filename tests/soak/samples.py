"""What the operator and the runners use at a moment: memory, threads, connections, series, pods, keys."""

import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError

from pynenc_operator import labels
from tests.cluster.node import POD_CIDR
from tests.e2e import processes
from tests.e2e.kubernetes import Json, read
from tests.e2e.observed import OPERATORS_PORT, page
from tests.e2e.release import OPERATOR
from tests.soak import keys
from tests.soak.facts import Operators, Sample

_PROGRAM = "pynenc_operator"
_ESTABLISHED = "01"  # in /proc/net/tcp, as the next one
_API_PORT = f":{443:04X}"
_ENDED = {"Succeeded", "Failed"}
_PODS = ".".join(POD_CIDR.split(".")[:2]) + "."
_PODS_PATH = "/api/v1/pods?labelSelector=" + quote(labels.ALL_WORKERS, safe="")


class Sampler:
    """Looks at the operator's process and at each runner, whatever of them can be reached."""

    def __init__(self, namespaces: dict[str, str], urls: dict[str, str], now: Callable[[], float]) -> None:
        """`namespaces` and `urls` of their Redis, by the runners' names."""
        self._namespaces, self._now = namespaces, now
        self._redis = {name: Redis.from_url(url, socket_timeout=1) for name, url in urls.items()}
        self._uid = self._address = ""

    def close(self) -> None:
        for redis in self._redis.values():
            redis.close()

    def take(self) -> Sample:
        """A sample; what can't be seen at the moment is None in it, or not there."""
        clients = {name: count for name in self._redis if (count := self._clients(name)) is not None}
        return Sample(self._now(), self._operator(), self._pods(), clients)

    def keys(self, name: str) -> Counter[str]:
        """How many keys there are of each pattern."""
        return keys.patterns(key.decode() for key in self._redis[name].scan_iter(count=1000))

    def heartbeats(self, name: str) -> dict[str, float]:
        """The last beat (Unix seconds) of each worker that has one left, by its pod's uid."""
        redis = self._redis[name]
        found = {key.decode().removeprefix(keys.HEARTBEAT): key for key in redis.scan_iter(f"{keys.HEARTBEAT}*")}
        return {uid: float(redis.hget(key, "last_heartbeat") or 0) for uid, key in found.items()}

    def _operator(self) -> Operators | None:
        try:
            pid = self._process()
            process = Path("/proc") / str(pid)
            status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
            begun = (process / "stat").read_text().rpartition(")")[2].split()[19]
            files = sum(1 for _ in (process / "fd").iterdir())
            to_api, others = _connections(process)
        except (AssertionError, OSError, KeyError):  # it has been killed, or the API server has
            return None
        kilobytes, threads = int(status["VmRSS"].split()[0]), int(status["Threads"])
        return Operators(f"{pid}-{begun}", kilobytes, threads, files, to_api, others, self._series())

    def _process(self) -> int:
        if self._uid:
            with contextlib.suppress(AssertionError):
                return processes.find(self._uid, _PROGRAM)
        [(self._uid, pod)] = OPERATOR.pods().items()
        self._address = pod["status"].get("podIP", "")
        return processes.find(self._uid, _PROGRAM)

    def _series(self) -> frozenset[str]:
        lines = page(self._address, OPERATORS_PORT).splitlines()
        return frozenset(line.rpartition(" ")[0] for line in lines if line and not line.startswith("#"))

    def _pods(self) -> dict[str, int]:
        """The runners' pods that have not ended; nothing of them if unknown."""
        try:
            pods: list[Json] = read(_PODS_PATH)["items"]
        except (AssertionError, OSError):
            return {}
        of = {namespace: name for name, namespace in self._namespaces.items()}
        serving = dict.fromkeys(of.values(), 0)
        for pod in pods:
            name = of.get(pod["metadata"]["namespace"])
            if name and pod["status"].get("phase") not in _ENDED:
                serving[name] += 1
        return serving

    def _clients(self, name: str) -> int | None:
        """The connections of pods to a runner's Redis: workers' and the operator's."""
        with contextlib.suppress(RedisError):
            return sum(client["addr"].startswith(_PODS) for client in self._redis[name].client_list())
        return None


def _connections(process: Path) -> tuple[int, int]:
    """How many connections to the API server, and others, are in the network of a process: its pod's own."""
    lines = [line for table in ("tcp", "tcp6") for line in (process / "net" / table).read_text().splitlines()[1:]]
    peers = [fields[2] for fields in map(str.split, lines) if fields[3] == _ESTABLISHED]
    to_api = sum(peer.endswith(_API_PORT) for peer in peers)
    return to_api, len(peers) - to_api
