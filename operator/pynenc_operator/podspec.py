"""The worker pod of a runner: the defaults, the user's template merged over them, and the template's hash.

Pure. A pod is `restartPolicy: Never`: one pod is one runner's life.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from pynenc_operator import labels
from pynenc_worker import contract

WORKER: Final = "worker"  # our container's name; a template says `worker` to change it
DEFAULT_SERVICE_ACCOUNT: Final = "pynenc-worker"
SQLITE_DIR: Final = "/var/lib/pynenc"

# What a new template is a change of. The operator's own defaults are not among it, or an upgrade would roll every
# worker; neither are the contents of a Secret.
_HASHED: Final = (
    "app",
    "appId",
    "image",
    "backend",
    "queues",
    "minThreads",
    "maxThreads",
    "drainTimeoutSeconds",
    "env",
    "envFrom",
    "template",
)

# Lists whose items are merged by a key, as the API server merges them; other lists replace.
_MERGE_KEYS: Final[Mapping[str, str]] = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
}

type Json = dict[str, Any]
# Builds the pod of a runner that has this name.
type PodBuilder = Callable[[Json, str], Json]


def template_hash(spec: Json) -> str:
    """Identify what a runner's pods are made of; pods with another hash are of an older template."""
    parts = [contract.POD_CONTRACT, *(spec.get(name) for name in _HASHED)]
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def pod_name(runner: str, ordinal: int) -> str:
    """The lowest free ordinal names the next pod, so that two operators want the same name."""
    return f"{runner}-{ordinal}"


def service_account(spec: Json) -> str:
    """The ServiceAccount that a runner's pods report with."""
    name: str = spec.get("template", {}).get("spec", {}).get("serviceAccountName") or DEFAULT_SERVICE_ACCOUNT
    return name


def build_worker_pod(runner: Json, name: str, *, relaxed_x509: bool = False) -> Json:
    """Build the pod `name` of a MultiThreadRunner (the object as the API server gives it).

    `relaxed_x509`: the worker accepts a cluster CA without the key usage that Python demands since 3.13.
    """
    meta, spec = runner["metadata"], runner["spec"]
    template = spec.get("template", {})
    own_labels = {
        labels.MANAGED_BY: labels.MANAGED_BY_US,
        labels.APP_NAME: "pynenc-worker",
        labels.APP_INSTANCE: meta["name"],
        labels.RUNNER: meta["name"],
        labels.TEMPLATE_HASH: template_hash(spec),
    }
    wanted = template.get("metadata", {})
    pod: Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            # The user's APP_NAME and APP_INSTANCE may differ; what we select by may not.
            "labels": {
                **own_labels,
                **wanted.get("labels", {}),
                **{k: own_labels[k] for k in (labels.MANAGED_BY, labels.RUNNER, labels.TEMPLATE_HASH)},
            },
            "ownerReferences": [owner_reference(runner)],
        },
        "spec": merge(_default_pod_spec(meta["namespace"], spec, relaxed_x509), template.get("spec", {})),
    }
    if wanted.get("annotations"):
        pod["metadata"]["annotations"] = dict(wanted["annotations"])
    return pod


def owner_reference(runner: Json) -> Json:
    """The reference by which the pods go with their runner; it never blocks the runner's deletion."""
    return {
        "apiVersion": f"{labels.GROUP}/{labels.VERSION}",
        "kind": labels.KIND,
        "name": runner["metadata"]["name"],
        "uid": runner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }


def merge(base: Any, over: Any, key: str | None = None) -> Any:  # noqa: ANN401 - any JSON value
    """Lay `over` on `base`: objects field by field, keyed lists item by item, all else replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        merged = dict(base)
        for name, value in over.items():
            merged[name] = merge(base[name], value, _MERGE_KEYS.get(name)) if name in base else value
        return merged
    if key and isinstance(base, list) and isinstance(over, list):
        items = {item.get(key): item for item in base}
        for item in over:
            known = items.get(item.get(key))
            items[item.get(key)] = item if known is None else merge(known, item)
        return list(items.values())
    return over


def _default_pod_spec(namespace: str, spec: Json, relaxed_x509: bool) -> Json:  # noqa: FBT001
    volumes: list[Json] = [
        {"name": "tmp", "emptyDir": {}},
        {
            "name": "pynenc-podinfo",
            "downwardAPI": {
                "items": [{"path": "annotations", "fieldRef": {"fieldPath": "metadata.annotations"}}],
            },
        },
    ]
    mounts: list[Json] = [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
        {"name": "pynenc-podinfo", "mountPath": contract.PODINFO_DIR, "readOnly": True},
    ]
    backend_env, backend_volumes, backend_mounts = _backend(namespace, spec["backend"])
    tls_env = [{"name": contract.ENV_TLS_STRICT, "value": "false"}] if relaxed_x509 else []
    worker: Json = {
        "name": WORKER,
        "env": merge(_environment(spec) + backend_env + tls_env, spec.get("env", []), "name"),
        "ports": [{"name": "metrics", "containerPort": contract.METRICS_PORT}],
        "volumeMounts": mounts + backend_mounts,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if "image" in spec:
        worker["image"] = spec["image"]
    if spec.get("envFrom"):
        worker["envFrom"] = spec["envFrom"]
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": spec["drainTimeoutSeconds"] + contract.GRACE_MARGIN_SECONDS,
        "serviceAccountName": service_account(spec),
        "automountServiceAccountToken": True,  # it reports with it, whatever the account's default is
        "enableServiceLinks": False,  # a Service's name must not become a setting
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": volumes + backend_volumes,
        "containers": [worker],
    }


def _environment(spec: Json) -> list[Json]:
    def of_pod(name: str, path: str) -> Json:
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    values = {
        contract.ENV_APP: spec["app"],
        contract.ENV_DRAIN_TIMEOUT: str(spec["drainTimeoutSeconds"]),
        contract.ENV_METRICS_PORT: str(contract.METRICS_PORT),
        contract.ENV_APP_ID: spec["appId"],
        contract.ENV_MIN_THREADS: str(spec["minThreads"]),
        contract.ENV_MAX_THREADS: str(spec["maxThreads"]),
        **dict.fromkeys(contract.ENV_QUEUES, ",".join(spec.get("queues", ()))),
    }
    return [
        *({"name": name, "value": value} for name, value in values.items()),
        of_pod(contract.ENV_POD_NAME, "metadata.name"),
        of_pod(contract.ENV_POD_NAMESPACE, "metadata.namespace"),
        of_pod(contract.ENV_POD_UID, "metadata.uid"),
    ]


def _backend(namespace: str, backend: Json) -> tuple[list[Json], list[Json], list[Json]]:
    """Environment, volumes and mounts by which the worker reaches its backend."""
    [(kind, how)] = backend.items()
    env: list[Json] = [{"name": contract.ENV_BACKEND, "value": kind}]
    if kind == "sqlite":
        env.append({"name": contract.ENV_BACKEND_URL, "value": f"{SQLITE_DIR}/{how['path']}"})
        claim = {"name": "pynenc-sqlite", "persistentVolumeClaim": {"claimName": how["claimName"]}}
        return env, [claim], [{"name": "pynenc-sqlite", "mountPath": SQLITE_DIR, "subPath": namespace}]
    urls = [(contract.ENV_BACKEND_URL, contract.URL_FILE, how)]
    if kind == "rabbitmq":
        env.append({"name": contract.ENV_QUEUE_PREFIX, "value": how["queuePrefix"]})
        urls.append((contract.ENV_STORE_URL, contract.STORE_URL_FILE, how["redis"]))
    env += [{"name": name, "value": source["url"]} for name, _, source in urls if "url" in source]
    # Files, not environment variables: a rotated password reaches running workers.
    secrets = [(source["urlFrom"]["secretKeyRef"], file) for _, file, source in urls if "urlFrom" in source]
    if not secrets:
        return env, [], []
    volume = {"name": "pynenc-backend", **_secret_files(secrets)}
    return env, [volume], [{"name": "pynenc-backend", "mountPath": contract.BACKEND_DIR, "readOnly": True}]


def _secret_files(secrets: list[tuple[Json, str]]) -> Json:
    """A volume's source that has keys of Secrets as files."""
    sources = [(secret["name"], [{"key": secret["key"], "path": file}]) for secret, file in secrets]
    if len(sources) == 1:
        [(name, items)] = sources
        return {"secret": {"secretName": name, "items": items}}
    return {"projected": {"sources": [{"secret": {"name": name, "items": items}} for name, items in sources]}}
