"""Operator and workers whose clock is wrong, by libfaketime: what they read as the time of day, and nothing else."""

import base64
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.cluster.paths import ClusterPaths
from tests.e2e import usercode
from tests.e2e.kubernetes import apply
from tests.e2e.release import OPERATOR

type Json = dict[str, Any]

NAME = "wrong-clock"
FOLDER = "/opt/wrong-clock"
LIBRARY = "libfaketimeMT.so.1"  # of the Debian package libfaketime
MOUNT: Json = {"name": NAME, "mountPath": FOLDER}
VOLUME: Json = {"name": NAME, "configMap": {"name": NAME}}
# Python sleeps until a monotonic time, which libfaketime 0.9.10 turns into nonsense (EINVAL) when it is to leave that
# clock alone. Every Python process imports this module at its start.
SLEEPS = """\
import select
import time

time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""


def provide(namespace: str, seconds: int) -> None:
    """Put the library where the pods of a namespace can mount it, for a clock that is so much ahead."""
    _until_certificates_are_older_than(30 - seconds)
    [library] = Path("/usr/lib").glob(f"*/faketime/{LIBRARY}")
    binary = {LIBRARY: base64.b64encode(library.read_bytes()).decode()}
    files = {"data": {"sitecustomize.py": SLEEPS}, "binaryData": binary}
    apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, **files}, namespace)


def variables(seconds: int) -> list[Json]:
    """The environment of a process whose clock is so much ahead; behind if it is negative."""
    # A clock that is wrong is no clock that runs at another speed: what measures intervals stays right. The times of
    # files stay, too, since Python would compile modules again that seem to be changed.
    said = {"LD_PRELOAD": f"{FOLDER}/{LIBRARY}", "FAKETIME": f"{seconds:+}", "NO_FAKE_STAT": "1"}
    said |= {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # of older and of newer versions
    said |= {"PYTHONPATH": FOLDER}
    return [{"name": name, "value": value} for name, value in said.items()]


def template(seconds: int) -> Json:
    """usercode.template for workers with a wrong clock."""
    made = usercode.template(env=variables(seconds))
    [container] = made["spec"]["containers"]
    container["volumeMounts"].append(MOUNT)
    made["spec"]["volumes"].append(VOLUME)
    return made


def install_operator(seconds: int) -> None:
    """The operator with a wrong clock; `OPERATOR.install()` makes it right again."""
    provide(OPERATOR.namespace, seconds)
    values = {"extraEnv": variables(seconds), "extraVolumes": [VOLUME], "extraVolumeMounts": [MOUNT]}
    OPERATOR.install(flags=tuple(f"--set-json={name}={json.dumps(value)}" for name, value in values.items()))


def operator_is_ahead() -> float:
    """How many seconds the operator's clock is ahead of the machine's, by what it writes on its log."""
    [pod] = [pod for pod in OPERATOR.pods().values() if "deletionTimestamp" not in pod["metadata"]]
    name = pod["metadata"]["name"]  # another one, from before the change, may be on its way out
    found = re.search(rf"{name}/\S+ (\S+ \d\d:\d\d:\d\d),\d+ INFO pynenc_operator\S+ started as", OPERATOR.log())
    assert found, "the operator has not said that it has started"
    said = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return (said - datetime.fromisoformat(pod["status"]["startTime"])).total_seconds()


def _until_certificates_are_older_than(seconds: float) -> None:
    """Wait until who lives so long ago takes the API server's certificate for valid: the cluster may be young."""
    made = (ClusterPaths.current().pki / "ca.crt").stat().st_mtime
    time.sleep(max(0.0, made + seconds - time.time()))
