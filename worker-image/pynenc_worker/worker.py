"""The parts of a worker put together, and the order of its life."""

import gc
import sys
from collections.abc import Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import Final

from pynenc import Pynenc
from pynenc.runner.runner_context import RunnerContext
from pynenc.util.import_app import find_app_instance

from pynenc_worker import backend, contract, health, lines, mongo_url, redisservers, sqlite_backend
from pynenc_worker.atomic_service import AtomicService
from pynenc_worker.config import ENV_TERMINATION_LOG, ConfigError, WorkerConfig
from pynenc_worker.drain import Drain
from pynenc_worker.heartbeat import Heartbeat
from pynenc_worker.index import InvocationIndex
from pynenc_worker.logs import configure, log
from pynenc_worker.metrics import WorkerMetrics
from pynenc_worker.outage import OutageWatch
from pynenc_worker.packing import Packing
from pynenc_worker.pod_api import PodApi
from pynenc_worker.podinfo import PodInfo
from pynenc_worker.recovery import Recovery
from pynenc_worker.reporter import Reporter
from pynenc_worker.runner import DrainableThreadRunner
from pynenc_worker.versions import pynenc_version, worker_version

# At the end: how long the last report and the last write to the broker are tried.
LAST_REPORT_SECONDS: Final = 8.0
LAST_BEAT_SECONDS: Final = 2.0
REDIS: Final = "redis"
RABBITMQ: Final = "rabbitmq"
MONGODB: Final = "mongodb"
SQLITE: Final = "sqlite"


def run(environ: MutableMapping[str, str]) -> int:
    """Run a worker; returns the exit code."""
    configure(environ)
    try:
        config = WorkerConfig.from_environ(environ)
        backend.refuse_contradictions(environ)
        lines.refuse_queues(environ)
        chosen = backend.chosen(config)
        app_id = _app_id(environ)
        log.info("worker %s, pynenc %s, %s on %s", worker_version(), pynenc_version(), config.app, config.backend)
        metrics = WorkerMetrics()
        health.serve(config.metrics_address, config.metrics_port, metrics)
        _set_backend(config, chosen, environ, app_id)
        app = _load(config.app)
        backend.verify(app, chosen, app_id)
        backend.create_components(app)
        index = _index(app, config)
    except ConfigError as error:
        return _refuse(environ, str(error))
    except Exception:  # noqa: BLE001 - whatever the app's import raises
        log.exception("the app %s can't be loaded", environ.get(contract.ENV_APP))
        return 1
    gc.freeze()  # else all that the imports have made is looked through before the first task
    gc.enable()
    try:
        return _work(app, index, config, metrics)
    except Exception as error:
        if words := redisservers.unsuitable(error):
            return _refuse(environ, words)
        raise


def _refuse(environ: Mapping[str, str], words: str) -> int:
    """Say what is wrong, in the container's state too, where Kubernetes has a place for it; the exit code."""
    log.error("%s", words)
    try:
        with Path(environ.get(ENV_TERMINATION_LOG) or contract.TERMINATION_LOG).open("r+b") as file:
            file.write(words.encode())
    except OSError:
        log.debug("no termination log")
    return 2


def _app_id(environ: MutableMapping[str, str]) -> str:
    if not environ.get(contract.ENV_APP_ID):
        raise ConfigError(f"{contract.ENV_APP_ID} is not set: it has to be the resource's spec.appId")
    return environ[contract.ENV_APP_ID]


def _set_backend(config: WorkerConfig, chosen: backend.Backend, environ: MutableMapping[str, str], app_id: str) -> None:
    read_url = partial(backend.read_url, config)
    if config.backend == SQLITE:
        sqlite_backend.refuse_other_lines_file(read_url(), app_id)
    if config.backend == RABBITMQ:
        from pynenc_worker import rabbitmq_backend  # noqa: PLC0415 - an image for another backend does not have it

        for name, value in rabbitmq_backend.settings(read_url(), config.queue_prefix).items():
            environ.setdefault(name, value)
        read_url = partial(backend.read_store_url, config)
    if config.backend in (REDIS, RABBITMQ):
        from pynenc_worker import redis_backend  # noqa: PLC0415 - an image for another backend does not have it

        public = backend.without_credentials(read_url())
        backend.derive_environment(chosen, public, environ)
        redis_backend.use_credentials(public, read_url)
    elif config.backend == MONGODB:
        from pynenc_worker import mongo_backend  # noqa: PLC0415 - an image for another backend does not have it

        public = mongo_url.without_credentials(read_url())
        backend.derive_environment(chosen, public, environ)
        environ[mongo_backend.DATABASE] = mongo_url.database_of(public)  # where the operator counts
        for name, value in mongo_backend.DEFAULTS.items():
            environ.setdefault(name, value)
        mongo_backend.use_client(read_url)
    else:
        backend.derive_environment(chosen, read_url(), environ)


def _load(name: str) -> Pynenc:
    here = str(Path.cwd())
    if here not in sys.path:  # python -m has it there, the console script does not
        sys.path.insert(0, here)
    return find_app_instance(name)


def _index(app: Pynenc, config: WorkerConfig) -> InvocationIndex:
    if config.backend == SQLITE:
        return sqlite_backend.SqliteIndex(app)
    if config.backend == MONGODB:
        from pynenc_worker import mongo_backend  # noqa: PLC0415 - an image for another backend does not have it

        return mongo_backend.install(app, backend.read_url(config))
    if config.backend == REDIS:
        from pynenc_worker import redis_backend  # noqa: PLC0415 - an image for another backend does not have it

        redis_backend.install(app, app.broker)
        return redis_backend.RedisIndex(app)
    if config.backend == RABBITMQ:
        from pynenc_worker import rabbitmq_backend  # noqa: PLC0415 - an image for another backend does not have it

        client = f"{config.pod.namespace}/{config.pod.name}"
        return rabbitmq_backend.install(app, partial(backend.read_url, config), client)
    return InvocationIndex(app)


def _work(app: Pynenc, index: InvocationIndex, config: WorkerConfig, metrics: WorkerMetrics) -> int:
    drain = Drain(config.drain_timeout)
    reporter = Reporter(PodApi(config.api, config.pod), PodInfo(config.podinfo_dir), drain, metrics)
    context = RunnerContext(DrainableThreadRunner.__name__, config.pod.uid)
    packing = Packing(index.queue_head)
    recovery = Recovery(app, context, index, metrics, reporter.wake)
    runner = DrainableThreadRunner(
        app,
        runner_context=context,
        drain=drain,
        metrics=metrics,
        # An unknown worker must not hold a task.
        may_take=lambda rested: reporter.heard_of() and packing.may_take(rested),
        on_change=reporter.wake,
        outage=OutageWatch(
            on_error=metrics.broker_failed,
            on_begin=recovery.in_outage,
            on_end=recovery.after_outage,
            ask=index.ask,
        ),
    )
    lines.accept_own_queues(app)
    atomic = AtomicService(app, context, drain, recovery)
    atomic.install()
    runner.chores = [index.round_over, recovery.step, atomic.step]
    reporter.attach(runner.observe, recovery, on_heard_of=runner.wake.set)
    heartbeat = Heartbeat(app, index, runner, drain, metrics)
    runner.install_signal_handlers()
    reporter.start()
    heartbeat.start()
    runner.run()
    log.info("leaving: %s", drain.stop_reason)
    heartbeat.finish(LAST_BEAT_SECONDS)
    index.close()
    if reporter.may_be_heard_of() and not reporter.wait_until_drained_is_told(LAST_REPORT_SECONDS):
        log.warning("the last report could not be made")
    return 0
