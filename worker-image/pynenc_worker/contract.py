"""What operator and worker say to each other, in one place.

The operator writes environment variables, mounts and request annotations; the worker answers in
annotations of its own pod. Both sides import these names, so they can't drift apart. Standard
library only: the worker imports this before anything else.
"""

from enum import StrEnum
from typing import Final

PREFIX: Final = "pynenc.org/"

# Raised by hand when a pod of an older operator could no longer be understood; part of the template hash.
POD_CONTRACT: Final = 1


class WorkerState(StrEnum):
    """What a worker says of itself in ``pynenc.org/worker-state``."""

    IDLE = "idle"
    ACTIVE = "active"
    DRAINING = "draining"
    DRAINED = "drained"


# Written by the worker, with `patch pods/status` of its own pod.
WORKER_STATE: Final = PREFIX + "worker-state"
WORKER_STATE_SINCE: Final = PREFIX + "worker-state-since"  # RFC 3339, UTC; idle: when the last thread ended
ACTIVE_INVOCATIONS: Final = PREFIX + "active-invocations"  # live threads, those that wait for sub-results included
DRAIN_ANSWER: Final = PREFIX + "drain-answer"  # the drain-request it has answered, with `drained`: final if that stands
# Space-separated runner ids, at most 1,024 characters: what they held is queued again, and so is what they had lost.
# It comes about 70 s after recover-runners; without this worker until then, the search is cut off.
RECOVERED_RUNNERS: Final = PREFIX + "recovered-runners"
WORKER_VERSION: Final = PREFIX + "worker-version"
PYNENC_VERSION: Final = PREFIX + "pynenc-version"  # of the worker's pynenc; 0.3 has a single queue
SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"
DO_NOT_DISRUPT: Final = "karpenter.sh/do-not-disrupt"
POD_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"

WORKER_WRITES: Final = (
    WORKER_STATE,
    WORKER_STATE_SINCE,
    ACTIVE_INVOCATIONS,
    DRAIN_ANSWER,
    RECOVERED_RUNNERS,
    WORKER_VERSION,
    PYNENC_VERSION,
    SAFE_TO_EVICT,
    DO_NOT_DISRUPT,
    POD_DELETION_COST,
)

# Written by the operator, read by the worker from its downward API volume.
DRAIN_REQUEST: Final = PREFIX + "drain-request"  # an opaque id; absent or empty: no drain is asked
RECOVER_RUNNERS: Final = PREFIX + "recover-runners"  # space-separated runner ids (pod UIDs) that are dead
RECOVERED_BY: Final = PREFIX + "recovered-by"  # on a dead worker's pod: the pod whose worker has recovered it

# Mounts.
PODINFO_DIR: Final = "/etc/pynenc-podinfo"  # downward API volume; file `annotations`
BACKEND_DIR: Final = "/etc/pynenc-backend"  # Secret volume; these files, when their URLs come from a Secret
URL_FILE: Final = "url"
STORE_URL_FILE: Final = "store-url"

# Environment, set by the operator.
ENV_APP: Final = "PYNENC_WORKER_APP"  # the module, as `pynenc --app` takes it
ENV_BACKEND: Final = "PYNENC_WORKER_BACKEND"  # redis | rabbitmq | mongodb | sqlite
ENV_BACKEND_URL: Final = "PYNENC_WORKER_BACKEND_URL"  # when the URL stands in the resource itself
ENV_STORE_URL: Final = "PYNENC_WORKER_STORE_URL"  # rabbitmq: that of the Redis which holds all but the queue, likewise
ENV_QUEUE_PREFIX: Final = "PYNENC_WORKER_QUEUE_PREFIX"  # rabbitmq
ENV_DRAIN_TIMEOUT: Final = "PYNENC_WORKER_DRAIN_TIMEOUT_SECONDS"
ENV_TLS_STRICT: Final = "PYNENC_WORKER_TLS_STRICT"  # false: accept a cluster CA without keyUsage
ENV_METRICS_PORT: Final = "PYNENC_WORKER_METRICS_PORT"
ENV_POD_NAME: Final = "POD_NAME"
ENV_POD_NAMESPACE: Final = "POD_NAMESPACE"
ENV_POD_UID: Final = "POD_UID"

# pynenc's own settings that the operator writes, each of them always: its values go before those of spec.envFrom.
ENV_APP_ID: Final = "PYNENC__APP_ID"
ENV_MIN_THREADS: Final = "PYNENC__CONFIGTHREADRUNNER__MIN_THREADS"
ENV_MAX_THREADS: Final = "PYNENC__CONFIGTHREADRUNNER__MAX_THREADS"
ENV_QUEUES: Final = ("PYNENC__CONFIGBROKER__QUEUES", "PYNENC__CONFIGRUNNER__QUEUES")  # empty: all
OPERATOR_SETTINGS: Final = (ENV_APP_ID, ENV_MIN_THREADS, ENV_MAX_THREADS, *ENV_QUEUES)
# Settings that would contradict the resource: another value would make operator and pods disagree on where the queue
# is, or on how much a pod takes. pynenc reads PYNENC__FIELD and PYNENC__CONFIGCLASS__FIELD. The resource's schema
# refuses them in spec.env by these same expressions; the worker, when they come in by spec.envFrom or its image.
RESERVED_SETTINGS: Final = (
    "^PYNENC__(.*__)?([A-Z_]*_CLS|APP_ID|FILEPATH|QUEUES|M(IN|AX)_THREADS|MIN_PARALLEL_SLOTS"
    "|(REDIS|RABBITMQ|MONGO|SQLITE)_.*)$"
)
# What of these only tunes a connection, wherever it leads, and the serializer are left to the user.
UNRESERVED_SETTINGS: Final = "_(POOL|RETRY)_[A-Z_]+$|_(HEARTBEAT|CONNECTION_ATTEMPTS|PREFETCH_COUNT|SERIALIZER_CLS)$"

# How a worker's last words begin that has refused to serve queues which its pynenc does not have.
QUEUES_UNSUPPORTED: Final = "QueuesUnsupported"
TERMINATION_LOG: Final = "/dev/termination-log"  # Kubernetes' default: what stands there is in the container's state

METRICS_PORT: Final = 9808  # default of ENV_METRICS_PORT: /metrics and /healthz
# Kept back from terminationGracePeriodSeconds (= drainTimeoutSeconds + GRACE_MARGIN_SECONDS) to hand work back.
GRACE_MARGIN_SECONDS: Final = 30
