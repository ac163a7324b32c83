"""What pods are held to, and that no secret is seen in whatever goes wrong with it: on the real cluster."""

import time

import pytest
from redis import Redis

from tests.cluster.node import NODE
from tests.e2e import observed
from tests.e2e.conftest import MakePool
from tests.e2e.kubernetes import get, kubectl, wait_until
from tests.e2e.objects import create
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR
from tests.integration.redis_server import RedisServer
from tests.secrecy import forms, seen

SOURCE = {"secretKeyRef": {"name": "redis-url", "key": "url"}}
PASSWORD = "un5een:P@ss/w%rd?#[ä"
QUOTED = "un5een%3AP%40ss%2Fw%25rd%3F%23%5B%C3%A4"
PART = "un5een-P4ss"
SAYS_WITHIN = 5  # seconds after its start: a worker has loaded the URL by then
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
# {at}: host and port of a Redis that knows no such user.
ODD_URLS = {
    "wrong-password": f"redis://user:{PART}@{{at}}/0",
    "half-quoted": f"redis://user:{PART}%zz%@{{at}}/0",
    "not-quoted": f"redis://user:{PART}@/#@{{at}}/0",
    "no-user": f"redis://{PART}@{{at}}/0",
    "bad-port": f"redis://user:{PART}@{NODE.ip}:{PART}/0",
    "bad-address": f"redis://user:{PART}@[{PART}",
    "bad-database": f"redis://user:{PART}@{{at}}/{PART}",
    "bad-option": f"redis://user:{PART}@{{at}}/0?db={PART}",
    "bad-tls": f"rediss://user:{PART}@{{at}}/0",
    "bad-tls-option": f"rediss://user:{PART}@{{at}}/0?ssl_cert_reqs={PART}",
    "bad-host": f"redis://user:{PART}@no-such-host.example:6379/0",
    "no-url": f"{PART} is no URL",
    "another-scheme": f"{PART}://user:{PART}@{{at}}",
    "two-lines": f"redis://user:{PART}\n{PART}@{{at}}/0",
}


@pytest.fixture
def pool(make_pool: MakePool, redis: RedisServer) -> Pool:
    """A pool on a Redis with a password of odd characters, whose URL is in a Secret."""
    pool = make_pool(redis.url)
    with Redis.from_url(redis.url) as administrator:
        administrator.acl_setuser("worker", enabled=True, passwords=[f"+{PASSWORD}"], categories=["+@all"], keys=["*"])
    url = redis.url.replace("redis://", f"redis://worker:{QUOTED}@")
    create(pool, "Secret", "redis-url", stringData={"url": url})
    return pool


def inside(namespace: str, pod: str, *command: str) -> str:
    """What a command prints in a pod's first container."""
    return kubectl("exec", pod, "-n", namespace, "--", *command)


def process(namespace: str, pod: str) -> dict[str, list[str]]:
    """What the kernel says of a pod's first process."""
    lines = inside(namespace, pod, "cat", "/proc/1/status").splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


@pytest.mark.fault("security", "a busy pool and its operator: user, capabilities, system calls, files, environment")
def test_operator_and_workers_run_as_nobody_with_no_capabilities_on_a_file_system_they_can_not_write(
    pool: Pool,
) -> None:
    pool.apply(minReplicas=1, maxReplicas=1, backend={"redis": {"urlFrom": SOURCE}})
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(4)))
    pool.until_succeeded()
    pods = [(pool.namespace, "reports-0")]
    pods += [(OPERATOR.namespace, pod["metadata"]["name"]) for pod in OPERATOR.pods().values()]
    assert len(pods) == 2
    for where in pods:
        status = process(*where)
        assert set(status["Uid"]) == set(status["Gid"]) == {"65532"}, where
        assert status["Groups"] in ([], ["65532"]), where
        assert {name: int(status[name][0], 16) for name in CAPABILITIES} == dict.fromkeys(CAPABILITIES, 0), where
        assert (status["NoNewPrivs"], status["Seccomp"]) == (["1"], ["2"]), where
        mounts = [line.split() for line in inside(*where, "cat", "/proc/1/mountinfo").splitlines()]
        assert [mount[5].split(",")[0] for mount in mounts if mount[4] == "/"] == ["ro"], where
        for folder in ("/", "/etc", "/opt/venv", "/app", "/home"):
            script = f"touch {folder}/mine 2>/dev/null && echo written || true"
            assert inside(*where, "sh", "-c", script) == "", (where, folder)
        told = {kind: inside(*where, "cat", f"/proc/1/{kind}") for kind in ("environ", "cmdline")}
        assert seen([PASSWORD, QUOTED], told) == []
    found = get("pods", "-n", pool.namespace, "-l", "app.kubernetes.io/name=pynenc-worker")["items"][0]["spec"]
    assert not any(found.get(shared) for shared in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"))


@pytest.mark.fault("security", f"{len(ODD_URLS)} runners with odd URLs and passwords beside one with the right one")
@pytest.mark.slow
def test_nothing_that_anybody_may_see_holds_a_secret_whatever_is_wrong_with_it(pool: Pool, redis: RedisServer) -> None:
    began = pool.began
    at = redis.url.removeprefix("redis://").removesuffix("/0")
    pool.apply(maxReplicas=2, backend={"redis": {"urlFrom": SOURCE}})
    spec = pool.runner()["spec"]
    for name, url in ODD_URLS.items():
        create(pool, "Secret", name, stringData={"url": url.format(at=at)})
        source = {"secretKeyRef": {"name": name, "key": "url"}}
        body = {**spec, "appId": name, "minReplicas": 1, "maxReplicas": 1, "backend": {"redis": {"urlFrom": source}}}
        create(pool, "MultiThreadRunner", name, "pynenc.org/v1alpha1", spec=body)
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(6)))
    pool.until_succeeded()
    wait_until(lambda: begun(pool) == set(ODD_URLS), "each has had a worker")
    time.sleep(SAYS_WITHIN)
    texts = observed.texts_of(pool.namespace) | observed.operators(began)
    assert any("BrokerReachable" in text for text in texts.values())
    assert seen({PASSWORD, PART, observed.TOKEN_BEGINS}, texts) == []
    logs = [text for what, text in texts.items() if f"{pool.namespace}: log of " in what]
    assert not [log for log in logs if "Traceback" in log]
    assert any("URL can't be used" in log for log in logs)
    # A search that can find: the Secrets themselves hold it.
    assert any(form in pool.kubectl("get", "secrets", "-o", "json") for form in forms(PART))


def begun(pool: Pool) -> set[str]:
    """The odd runners of which a worker has begun: it says what is wrong, or goes on trying."""
    found = get("pods", "-n", pool.namespace, "-l", "app.kubernetes.io/name=pynenc-worker")["items"]
    states = [(pod, status["state"]) for pod in found for status in pod["status"].get("containerStatuses", ())]
    names = {pod["metadata"]["labels"]["pynenc.org/runner"] for pod, state in states if "waiting" not in state}
    return names & set(ODD_URLS)
