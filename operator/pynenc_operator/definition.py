"""Whether the CustomResourceDefinition has every field that this operator knows; where it has not, nothing is done.

The API server drops fields that its definition lacks, also when it reads what is stored: a runner then looks as
if nobody had set them, its pods as if they were of an older template; and whoever writes a part of such an object,
be it the status, makes that last. So before a spec is acted on that was not seen before, the server is asked, by a
strict dry run of a status that names all the fields: that takes no right of its own, and no request at rest. What
`spec.template`, `spec.env` and `spec.envFrom` hold is Kubernetes' own, and is not asked about.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from pynenc_operator.kube import Forbidden, Invalid, Kube, OutdatedDefinition
from pynenc_operator.model import Key
from pynenc_operator.podcache import RunnerCache

type Json = dict[str, Any]

AGAIN_SECONDS: Final = 10.0  # between two questions while it is too old
_TIME: Final = "2026-01-01T00:00:00Z"
_URL: Final[Json] = {"url": "", "urlFrom": {"secretKeyRef": {"name": "", "key": ""}}}
# One value for each field; those of the spec are dropped by any write of a status, unseen but for their names.
FIELDS: Final[Json] = {
    "spec": {
        **dict.fromkeys(("app", "appId", "image", "mode"), ""),
        **dict.fromkeys(("minReplicas", "maxReplicas", "replicas", "minThreads", "maxThreads"), 1),
        **dict.fromkeys(
            ("idleTimeoutSeconds", "pollIntervalSeconds", "drainTimeoutSeconds", "startDeadlineSeconds"), 1
        ),
        "enforceMaxReplicas": False,
        "failedPodsHistoryLimit": 1,
        "backend": {
            "redis": _URL,
            "rabbitmq": {**_URL, "queuePrefix": "", "redis": _URL},
            "mongodb": _URL,
            "sqlite": {"claimName": "", "path": ""},
        },
        "scaleUp": {"maxPods": 1, "periodSeconds": 1},
        "onBrokerDown": {"action": "", "replicas": 1, "afterSeconds": 1},
        "rollout": {"maxSurge": 1},
        "queues": [""],
        "env": [{"name": "x"}],
        "envFrom": [{"prefix": "x"}],
        "template": {"metadata": {"labels": {"x": ""}}, "spec": {"nodeName": ""}},
    },
    "status": {
        **dict.fromkeys(("replicas", "readyReplicas", "activeReplicas", "idleReplicas", "drainingReplicas"), 1),
        **dict.fromkeys(("observedGeneration", "desiredReplicas", "queueDepth", "startSeconds"), 1),
        "selector": "x",
        "lastScaleTime": _TIME,
        "lastScaleReason": "x",
        "failures": {"templateHash": "x", "count": 1, "lastTime": _TIME},
        "orphans": {"count": 1, "since": _TIME, "givenUp": False},
        "conditions": [
            {
                "type": "X",
                "status": "True",
                "observedGeneration": 1,
                "lastTransitionTime": _TIME,
                "reason": "X",
                "message": "",
            }
        ],
    },
}


class Definition:
    """What is known of the definition: it is asked about once for all specs that have come since the last time."""

    def __init__(self, kube: Kube, runners: RunnerCache, now: Callable[[], float]) -> None:
        self._kube = kube
        self._runners = runners
        self._now = now
        self._sure_of = -1  # of how many specs
        self._refused_of = -1
        self._refusal: OutdatedDefinition | None = None
        self._again_at = 0.0
        self._asking = asyncio.Lock()

    def doubt(self) -> None:
        """A write was refused: ask before anything else is done."""
        self._sure_of = -1

    async def check(self, key: Key) -> None:
        """Return if all specs seen so far can be trusted; `key` is a runner to ask about.

        :raises OutdatedDefinition: the definition lacks fields
        :raises KubeError: the API server has not said
        """
        if self._sure_of == self._runners.specs_seen:
            return
        async with self._asking:
            seen = self._runners.specs_seen
            if self._sure_of == seen:
                return
            if self._refusal and self._refused_of == seen and self._now() < self._again_at:
                raise self._refusal.with_traceback(None)
            try:
                await self._kube.try_runner_fields(key.namespace, key.name, FIELDS)
            except OutdatedDefinition as error:
                self._refusal, self._refused_of, self._again_at = error, seen, self._now() + AGAIN_SECONDS
                raise
            except (Forbidden, Invalid):
                pass  # all names are known to it, or no status can be written: then nothing is lost by one either
            self._sure_of, self._refusal = seen, None
