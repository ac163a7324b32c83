"""The load: enqueued by the producer in the cluster, and followed until the pool is back at zero."""

import time

from examples.demo import stage
from examples.demo.client import Client, Json
from examples.demo.display import Display
from examples.demo.observed import Observed
from examples.demo.streams import EVENTS, LOG, PODS, RUNNERS, Streams
from examples.demo.summary import Summary, summarize
from tests.cluster.console import ClusterError

ENQUEUED_WITHIN = 120.0  # seconds from the producer's start
ZERO_WITHIN = 240.0  # from the enqueue: the tasks take 40 s, the idle timeout 10
LAST_LOOK_WITHIN = 10.0
_TICK = 0.25


def follow(client: Client, runner: Json, producer: Json) -> Summary:
    """Enqueue the load, show what happens, and sum it up. An unfinished one is summed up, too."""
    seen = Observed(runner["metadata"]["uid"])
    max_pods: int = runner["spec"]["maxReplicas"]
    with Streams(client) as streams, Display(max_pods) as display:
        streams.follow(PODS, RUNNERS, EVENTS)  # before the first pod can come
        stage.start_producer(client, producer)
        streams.follow(LOG)
        begun = time.monotonic()
        deadline = begun + ENQUEUED_WITHIN
        enqueued = False
        while not _at_zero(client, seen):
            _look(streams, seen, display)
            if seen.tasks and not enqueued:
                enqueued, begun = True, time.monotonic()
                deadline = begun + ZERO_WITHIN
            if time.monotonic() > deadline:
                break
        _last_look(streams, seen, display)
        if not enqueued:
            said = "\n".join(seen.said[-15:]) or "its log is empty"
            raise ClusterError(
                f"the producer enqueued nothing in {ENQUEUED_WITHIN:.0f} s: {said}\n"
                f"`kubectl describe job,pod --namespace {stage.NAMESPACE}` says more"
            )
        waited = time.monotonic() - begun
    stage.end_producer(client)
    return summarize(seen, max_pods=max_pods, waited=waited)


def _look(streams: Streams, seen: Observed, display: Display) -> None:
    streams.tend()
    for line in streams.read(_TICK):
        seen.take(line)
    display.show(seen)


def _at_zero(client: Client, seen: Observed) -> bool:
    """Whether all is done and no pod is left: by what was watched, and then by a list of the API server."""
    if not seen.all_final or seen.pods or seen.queued or stage.list_workers(client):
        return False
    if seen.emptied_at is None:  # the watch was between two connections when the last one went
        seen.emptied_at = time.time()
    return True


def _last_look(streams: Streams, seen: Observed, display: Display) -> None:
    """Wait for the producer's look after the pool's last moment, so that no execution is missed."""
    deadline = time.monotonic() + LAST_LOOK_WITHIN
    now = time.time()
    while seen.looked_at + seen.skew < now and time.monotonic() < deadline:
        _look(streams, seen, display)
