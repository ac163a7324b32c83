"""MultiThreadRunners to try on the API server: a valid one, and changes of it as merge patches."""

import copy
import subprocess
from typing import Any

import yaml

from tests.cluster.half_cluster import HalfCluster

type Json = dict[str, Any]

VALID: Json = yaml.safe_load("""
apiVersion: pynenc.org/v1alpha1
kind: MultiThreadRunner
metadata: {name: reports}
spec:
  app: reports.tasks
  appId: reports
  image: registry.example/reports:1.4
  backend:
    redis: {urlFrom: {secretKeyRef: {name: reports-redis, key: url}}}
  minReplicas: 0
  maxReplicas: 20
  maxThreads: 4
  idleTimeoutSeconds: 60
""")


def patched(document: Json, patch: Json) -> Json:
    """The document with a JSON merge patch (RFC 7386) applied: null removes."""
    result = copy.deepcopy(document)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = patched(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = value
    return result


def runner(patch: str) -> Json:
    """The valid runner, changed by a merge patch in YAML."""
    return patched(VALID, yaml.safe_load(patch) or {})


def apply(
    cluster: HalfCluster, namespace: str, document: Json, *flags: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """What a user does: kubectl apply -f FILE."""
    return cluster.kubectl(
        "apply", f"--namespace={namespace}", *flags, "-f", "-", input=yaml.safe_dump(document), check=check
    )
