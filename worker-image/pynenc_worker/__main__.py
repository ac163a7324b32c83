"""`python -m pynenc_worker`, or `pynenc-worker`: the process of a worker pod.

The signal handlers come before every import that can take time: as PID 1, a process without a handler
ignores SIGTERM, and a pod that is deleted while its app loads would stay for its whole grace period.
"""

import gc
import os
import signal
import sys
import threading
from types import FrameType
from typing import Final, NoReturn

EXIT_SECONDS: Final = 3.0

USAGE = """\
usage: pynenc-worker

Runs a pynenc app's invocations in threads, as the pod of a MultiThreadRunner resource. Everything is set by
the environment, which the operator writes:

  PYNENC_WORKER_APP                    the module that defines the app, as `pynenc --app` takes it
  PYNENC_WORKER_BACKEND                redis, rabbitmq, mongodb or sqlite
  PYNENC_WORKER_BACKEND_URL            its URL (sqlite: its path), unless it stands in the file `url` of
  PYNENC_WORKER_BACKEND_DIR            /etc/pynenc-backend
  PYNENC_WORKER_STORE_URL              rabbitmq: the URL of the Redis that holds all but the queue, or file `store-url`
  PYNENC_WORKER_QUEUE_PREFIX           rabbitmq: the queue is called PREFIX_broker_messages
  PYNENC_WORKER_DRAIN_TIMEOUT_SECONDS  how long running invocations may take when the worker is to leave
  PYNENC_WORKER_METRICS_PORT           9808: /metrics and /healthz
  PYNENC_WORKER_METRICS_ADDRESS        all interfaces
  PYNENC_WORKER_PODINFO_DIR            /etc/pynenc-podinfo: a downward API volume of the pod's annotations
  PYNENC_WORKER_SERVICEACCOUNT_DIR     /var/run/secrets/kubernetes.io/serviceaccount
  PYNENC_WORKER_TERMINATION_LOG        /dev/termination-log
  PYNENC_WORKER_TLS_STRICT             true; false accepts a cluster CA without keyUsage
  POD_NAMESPACE, POD_NAME, POD_UID     this pod
  KUBERNETES_SERVICE_HOST, _PORT       the API server; Kubernetes sets them in every pod
  PYNENC__APP_ID, PYNENC__*            pynenc's own settings, but for what the resource decides

Signals: SIGTERM takes no more work and ends when the last thread has ended.
Exit codes: 0 ended in order, 1 the app failed to load, 2 the configuration is wrong.
"""


def _leave_at_once(signum: int, frame: FrameType | None) -> NoReturn:
    """Nothing was taken yet. Not by an exception: the app's imports could catch it."""
    del frame
    os.write(1, f"pynenc_worker got {signal.Signals(signum).name} while starting and leaves\n".encode())
    os._exit(0)


def main() -> None:
    """Run a worker until it has to leave."""
    if sys.argv[1:]:
        asked = sys.argv[1] in ("-h", "--help")
        (sys.stdout if asked else sys.stderr).write(USAGE)
        sys.exit(0 if asked else 2)
    signal.signal(signal.SIGTERM, _leave_at_once)
    signal.signal(signal.SIGINT, _leave_at_once)
    gc.disable()  # what imports make stays; looking for garbage in it takes a tenth of the start

    from pynenc_worker.worker import run  # noqa: PLC0415 - see above

    code = run(os.environ)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # it leaves already, and by its own exit code
    # What the app registered with atexit gets its turn; a thread of the app that never ends does not.
    watchdog = threading.Timer(EXIT_SECONDS, os._exit, (code,))
    watchdog.daemon = True
    watchdog.start()
    sys.exit(code)


if __name__ == "__main__":
    main()
