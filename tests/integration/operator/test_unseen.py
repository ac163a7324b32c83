"""Secrets stay unseen whatever goes wrong with what they hold: the operator's own process, at its most talkative."""

import json
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.rest import Api
from tests.integration.operator.stranger import by_secret, reachable, running
from tests.integration.operator.trap import Trap
from tests.integration.redis_server import RedisServer
from tests.secrecy import forms, seen

type Json = dict[str, Any]

SECRET = "un5een-Pa55:w@rd/Ä"
QUOTED = "un5een-Pa55%3Aw%40rd%2F%C3%84"
PART = "un5een-Pa55"  # of it, if a parser stops in its midst
# {port}: of a Redis that knows no such user, {trap}: of a server whose every error tells the secret.
URLS = [
    f"redis://user:{QUOTED}@127.0.0.1:{{port}}",
    f"redis://:{QUOTED}@127.0.0.1:{{port}}/0",
    f"redis://{QUOTED}@127.0.0.1:{{port}}",
    f"redis://user:{SECRET}@127.0.0.1:{{port}}",
    f"redis://user:{PART}%zz%@127.0.0.1:{{port}}",
    f"redis://user:{PART}%00%ff@127.0.0.1:{{port}}",
    f"redis://user:{PART}@127.0.0.1:{{port}}/{PART}",
    f"redis://user:{PART}@127.0.0.1:{PART}",
    f"redis://user:{PART}@[{PART}",
    f"redis://user:{PART}@127.0.0.1:{{port}}?db={PART}",
    f"redis://user:{PART}@127.0.0.1:{{port}}?protocol={PART}",
    f"redis://user:{PART}@127.0.0.1:{{port}}?ssl_cert_reqs={PART}",
    f"rediss://user:{PART}@127.0.0.1:{{port}}?ssl_cert_reqs={PART}",
    f"redis://127.0.0.1:{{port}}?client_name={PART}%0A",
    f"redis://127.0.0.1:{{port}}?password={PART}",
    f"redis://127.0.0.1:{{port}}?{PART}={PART}",
    f"redis://user:{PART}@127.0.0.1:{{trap}}",
    f"redis://user:{PART}@127.0.0.1:{{trap}}?protocol=3",
    f"rediss://user:{PART}@127.0.0.1:{{trap}}",
    f"rediss://user:{PART}@127.0.0.1:{{port}}",
    f"redis://user:{PART}@127.0.0.1:1",
    f"redis://user:{PART}@{PART}.example:6379",
    f"redis://user:{PART}@{'x' * 300}.example:6379",
    f"redis://user:{PART}\n{PART}@127.0.0.1:{{port}}",
    f"http://user:{PART}@127.0.0.1:{{trap}}",
    f"{PART}://user:{PART}@127.0.0.1",
    f"//user:{PART}@127.0.0.1",
    f"{PART}",
    f"{PART} redis://127.0.0.1:{{port}}",
    f"redis://user:{PART * 20_000}@127.0.0.1:{{port}}",
]


@pytest.mark.fault(
    "security", f"{len(URLS)} Secrets with odd URLs and passwords, and a server that tells them in its errors"
)
def test_no_error_of_a_url_or_its_server_tells_a_secret(
    crd_installed: HalfCluster, namespace: str, api: Api, redis: RedisServer, tmp_path: Path
) -> None:
    with Redis.from_url(redis.url) as administrator:
        administrator.config_set("requirepass", "another")
    trap = Trap(f"WRONGPASS {SECRET} is not the password of user {SECRET}")
    more = {"PYNENC_OPERATOR_ALLOW_LOCAL_BACKENDS": "true", "PYNENC_OPERATOR_LOG_LEVEL": "DEBUG"}
    with trap.listening("127.0.0.1") as trap_port, running(crd_installed, namespace, tmp_path, **more) as operator:
        names = [f"r{number}" for number in range(len(URLS))]
        for name, url in zip(names, URLS, strict=True):
            by_secret(api, name, url.format(port=redis.port, trap=trap_port), minReplicas=1)
        operator.until("all are looked at", lambda: all(reachable(api, name) for name in names))
        texts = {"log": operator.log(), "metrics": operator.scrape()}
    assert "Counted" not in {reachable(api, name) for name in names}
    assert trap.visits
    for what in ("multithreadrunners", "events.events.k8s.io", "pods", "leases", "serviceaccounts"):
        texts[what] = crd_installed.kubectl("get", what, f"--namespace={namespace}", "-o", "json").stdout
        assert json.loads(texts[what])["items"], what
    assert seen([SECRET, PART], texts) == []
    assert "Traceback" not in texts["log"]
    found = crd_installed.kubectl("get", "secrets", f"--namespace={namespace}", "-o", "json").stdout
    assert any(form in found for form in forms(PART))  # where it stands, it is found
