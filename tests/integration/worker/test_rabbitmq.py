"""What is RabbitMQ's own: its queue beside the Redis of states, its acknowledgements, its password."""

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest

from pynenc_worker.rabbitmq_backend import RabbitQueue
from tests.integration.rabbitmq_server import USER, RabbitServer
from tests.integration.redis_server import RedisServer
from tests.integration.worker.conftest import RABBITMQ, StartWorker
from tests.integration.worker.processes import Line, Producer, eventually

pytestmark = pytest.mark.parametrize("line", [RABBITMQ], indirect=True)

type Server = RedisServer | RabbitServer


@pytest.fixture
def make_queue(line: Line) -> Iterator[Callable[[], RabbitQueue]]:
    """Queues as workers have them, all of this test's app."""
    made: list[RabbitQueue] = []

    def make(url: str = line.url) -> RabbitQueue:
        made.append(RabbitQueue(f"{line.app_id}_broker_messages", lambda: url, "a test"))
        return made[-1]

    yield make
    for queue in made:
        queue.close()


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[None]:
    server.stop()
    yield
    server.start()


def test_what_a_worker_took_and_did_not_settle_is_queued_again_by_the_server(
    make_queue: Callable[[], RabbitQueue],
) -> None:
    dying, other = make_queue(), make_queue()
    for name in ("one", "two", "three"):
        other.publish_message(name)
    assert dying.consume_message() == "one"
    dying.settle()
    assert dying.consume_message() == "two"
    assert other.get_message_count() == 1
    dying.close()
    eventually(lambda: other.get_message_count() == 2, "what was not settled is there again")
    assert [other.consume_message() for _ in range(3)] == ["two", "three", None]
    other.settle()
    other.close()
    assert make_queue().get_message_count() == 0


def test_a_message_is_the_plugins_own_and_outlives_a_restart(
    make_queue: Callable[[], RabbitQueue], producer: Producer, rabbitmq_server: RabbitServer
) -> None:
    queue = make_queue()
    assert (queue.get_message_count(), queue.consume_message()) == (0, None)  # there is no queue yet
    queue.publish_message("ours")
    called = producer.call("nap", name="a", seconds=0.1)
    assert queue.get_message_count() == producer("queued") == 2
    with stopped(rabbitmq_server), pytest.raises(ConnectionError):
        queue.publish_message("never")
    with pytest.raises(ConnectionError):  # that connection is gone as well: an outage, and not an empty queue
        queue.consume_message()
    assert [queue.consume_message(), queue.consume_message()] == ["ours", called]
    queue.settle()


def test_what_can_not_be_done_is_an_outage_and_not_an_empty_queue(
    make_queue: Callable[[str], RabbitQueue], rabbitmq_server: RabbitServer
) -> None:
    wrong = rabbitmq_server.url_of(password="wr0ng")
    for url in ("amqp://no-such-host.invalid", "amqp://127.0.0.1:1", f"amqps://{wrong[7:]}", wrong, "no url"):
        queue = make_queue(url)
        for operation in (queue.consume_message, queue.get_message_count, lambda: queue.publish_message("x")):  # noqa: B023
            with pytest.raises((ConnectionError, TimeoutError)) as caught:
                operation()
            assert "wr0ng" not in str(caught.value)


@pytest.mark.fault("rabbitmq", "a RabbitMQ that is short of memory, for workers that send and take")
def test_a_server_that_takes_no_more_messages_still_gives_out_what_it_has(
    make_queue: Callable[[], RabbitQueue], rabbitmq_server: RabbitServer
) -> None:
    queue = make_queue()
    for name in ("one", "two"):
        queue.publish_message(name)
    rabbitmq_server.control("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        with pytest.raises(TimeoutError):
            queue.publish_message("three")
        assert queue.consume_message() == "one"
        queue.settle()
    finally:
        rabbitmq_server.control("set_vm_memory_high_watermark", "0.4")
    queue.publish_message("four")
    left = [queue.consume_message() for _ in range(4)]
    assert [name for name in left if name not in (None, "three")] == ["two", "four"]  # it may have come all the same
    queue.settle()


def test_a_user_of_the_apps_own_needs_no_more_than_its_queue(
    make_queue: Callable[[str], RabbitQueue], line: Line, rabbitmq_server: RabbitServer
) -> None:
    """As docs/backends.md has it."""
    own = f"^{line.app_id}_broker_messages$"
    rabbitmq_server.control("add_user", line.app_id, "s3cret")
    permissions = (own, f"{own}|^amq\\.default$", own)
    rabbitmq_server.control("set_permissions", "--vhost", "shop", line.app_id, *permissions)
    url = rabbitmq_server.url_of(line.app_id, "s3cret", "shop")
    queue = make_queue(url)
    queue.publish_message("one")
    assert (queue.get_message_count(), queue.consume_message(), queue.get_message_count()) == (1, "one", 0)
    queue.settle()
    another = RabbitQueue("another_broker_messages", lambda: url, "a test")
    with pytest.raises(ConnectionError):
        another.consume_message()
    with pytest.raises(ConnectionError):
        another.publish_message("x")  # which would have to make it
    another.close()


@pytest.mark.fault("rabbitmq", "a RabbitMQ, then its Redis, that goes away under tasks")
def test_either_of_both_servers_may_go_away_while_tasks_run(
    start_worker: StartWorker,
    producer: Producer,
    line: Line,
    rabbitmq_server: RabbitServer,
    redis_server: RedisServer,
) -> None:
    worker = start_worker()
    for server, name in ((rabbitmq_server, "a"), (redis_server, "b")):
        parent = producer.call("ask_child", name=name)
        eventually(lambda: name in line.executions(), "it runs")  # noqa: B023
        with stopped(server):
            line.open_gate(name)  # from here on it wants to enqueue its child, and to know of its end
            time.sleep(3)
            assert worker.pod.state() == "active"
        line.open_gate(f"{name}-child")
        eventually(lambda: producer.succeeded(parent), "parent and child end")  # noqa: B023
    worker.says("idle")
    assert line.executions() == ["a", "a-child", "b", "b-child"]
    assert producer("queued") == 0
    assert worker.log().count("waits for the broker") >= 2
    worker.sigterm()
    assert worker.exit_code() == 0


@pytest.mark.fault("rabbitmq", "a worker that starts while RabbitMQ is away")
def test_a_worker_starts_while_rabbitmq_is_away(
    start_worker: StartWorker, producer: Producer, line: Line, rabbitmq_server: RabbitServer
) -> None:
    called = producer.call("nap", name="a", seconds=0.1)
    with stopped(rabbitmq_server):
        worker = start_worker()
        worker.says("idle")
    eventually(lambda: producer.succeeded(called), "it works once RabbitMQ is there")
    assert line.executions() == ["a"]
    worker.sigterm()
    assert worker.exit_code() == 0


@pytest.mark.fault("rabbitmq", "RabbitMQ's password rotated under a working worker")
def test_a_rotated_password_restarts_nothing_and_is_in_nobodys_environment(
    start_worker: StartWorker, producer: Producer, line: Line, rabbitmq_server: RabbitServer, redis_server: RedisServer
) -> None:
    rabbitmq_server.control("add_user", "worker", "old-pa55")
    rabbitmq_server.control("set_permissions", "--vhost", "shop", "worker", ".*", ".*", ".*")
    folder = line.folder / "backend"
    folder.mkdir()
    (folder / "url").write_text(rabbitmq_server.url_of("worker", "old-pa55", "shop"))
    assert redis_server.command("ACL", "SETUSER", "store", "on", ">st0re", "~*", "&*", "+@all") == "+OK"
    (folder / "store-url").write_text(line.store_url.replace("redis://", "redis://store:st0re@"))
    worker = start_worker(PYNENC_WORKER_BACKEND_URL="", PYNENC_WORKER_STORE_URL="")
    first = producer.call("tell_environment", name="first")
    eventually(lambda: producer.succeeded(first), "it works with the first password")
    rabbitmq_server.control("change_password", "worker", "new-pa55")
    rabbitmq_server.control("close_all_user_connections", "worker", "rotated")
    second = producer.call("nap", name="second", seconds=0.1)
    eventually(lambda: "the broker can't be reached" in worker.log(), "the old password is refused")
    (folder / "url").write_text(rabbitmq_server.url_of("worker", "new-pa55", "shop"))
    eventually(lambda: producer.succeeded(second), "it works with the second password")
    assert line.executions() == ["first", "second"]
    told = producer("result", invocation_id=first) + worker.log()
    assert "PYNENC__RABBITMQ_HOST=127.0.0.1" in told
    assert f"PYNENC__RABBITMQ_QUEUE_PREFIX={line.app_id}" in told
    for secret in ("old-pa55", "new-pa55", "st0re", USER + ":"):
        assert secret not in told


@pytest.mark.slow
@pytest.mark.fault("rabbitmq", "a RabbitMQ that comes back without its queue, under a busy worker")
def test_what_a_rabbitmq_has_lost_is_queued_again_by_what_redis_says(
    start_worker: StartWorker,
    producer: Producer,
    line: Line,
    rabbitmq_server: RabbitServer,
    make_queue: Callable[[], RabbitQueue],
) -> None:
    held = producer.call("hold", name="held")
    worker = start_worker()
    eventually(lambda: line.executions() == ["held"], "it runs")
    lost = [producer.call("nap", name=name, seconds=0.1) for name in ("a", "b", "c")]
    with stopped(rabbitmq_server):
        rabbitmq_server.forget()
    assert make_queue().get_message_count() == 0  # the plugin's own count would wait for there to be a queue
    line.open_gate("held")
    eventually(lambda: producer.succeeded(held), "it ends")
    eventually(lambda: all(map(producer.succeeded, lost)), "what was lost runs as well", within=240)
    assert line.executions()[0] == "held"
    assert sorted(line.executions()[1:]) == ["a", "b", "c"]
    worker.sigterm()
    assert worker.exit_code() == 0
