"""What `kubectl apply` refuses: each names the field and says what is wrong with it."""

import pytest

from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster
from tests.integration.crd.contradictions import CONTRADICTIONS
from tests.integration.crd.runners import apply, runner

INVALID = "is invalid"  # the schema or a rule
UNKNOWN = "strict decoding error: unknown field"  # a misspelt field

MISSPELT = [
    ("spec: {maxReplica: 3}", "spec.maxReplica"),
    ("spec: {backend: {redis: null, rediss: {url: redis://redis}}}", "spec.backend.rediss"),
    ("spec: {backend: {redis: {urlFrom: {secretKeyRef: {optional: true}}}}}", "optional"),
    ("spec: {rollout: {maxsurge: 1}}", "spec.rollout.maxsurge"),
    ("spec: {env: [{name: A, valu: b}]}", "spec.env[0].valu"),
    ("spec: {template: {spec: {nodeselector: {a: b}}}}", "spec.template.spec.nodeselector"),
    ("spec: {template: {metadata: {name: a}}}", "spec.template.metadata.name"),
    ("spec: {template: {spec: {containers: [{name: worker, imagee: a}]}}}", "spec.template.spec.containers[0].imagee"),
    (
        "spec: {template: {spec: {containers: [{name: worker, securityContext: {capabilities: {dropp: [ALL]}}}]}}}",
        "spec.template.spec.containers[0].securityContext.capabilities.dropp",
    ),
    ("spec: {template: {spec: {ephemeralContainers: []}}}", "spec.template.spec.ephemeralContainers"),
]

RESERVED = [
    "PYNENC__BROKER_CLS",
    "PYNENC__ORCHESTRATOR_CLS",
    "PYNENC__RUNNER_CLS",
    "PYNENC__CONFIGPYNENC__STATE_BACKEND_CLS",
    "PYNENC__APP_ID",
    "PYNENC__CONFIGPYNENC__APP_ID",
    "PYNENC__FILEPATH",
    "PYNENC__CONFIGREDIS__FILEPATH",
    "PYNENC__QUEUES",
    "PYNENC__CONFIGBROKER__QUEUES",
    "PYNENC__MAX_THREADS",
    "PYNENC__CONFIGTHREADRUNNER__MIN_THREADS",
    "PYNENC__MIN_PARALLEL_SLOTS",
    "PYNENC__REDIS_URL",
    "PYNENC__REDIS_PASSWORD",
    "PYNENC__CONFIGBROKERREDIS__REDIS_URL",
    "PYNENC__SQLITE_DB_PATH",
    "PYNENC__RABBITMQ_HOST",
    "PYNENC__CONFIGRABBITMQ__RABBITMQ_QUEUE_PREFIX",
    "PYNENC__MONGO_URL",
    contract.ENV_APP,
    contract.ENV_BACKEND_URL,
    contract.ENV_STORE_URL,
    contract.ENV_QUEUE_PREFIX,
    contract.ENV_METRICS_PORT,
    contract.ENV_POD_NAME,
    contract.ENV_POD_NAMESPACE,
    contract.ENV_POD_UID,
]

PASSWORDS = [
    ("redis", "redis://:secret@redis:6379"),
    ("redis", "rediss://user:secret@redis:6379/0"),
    ("redis", "redis://:se/cr?e#t@redis:6379"),
    ("redis", "redis://us@er:secret@redis"),
    ("redis", "redis://redis:6379?PassWord=secret"),
    ("redis", "http://:secret@redis:6379"),
    ("rabbitmq", "amqp://guest:guest@rabbitmq:5672/"),
    ("mongodb", "mongodb+srv://user:secret@mongo/db"),
    ("mongodb", "mongodb://mongo/?authMechanismProperties=AWS_SESSION_TOKEN:abc"),
]

PATHS = ["/data/pynenc.db", "../other/pynenc.db", "a/../../b.db", "./pynenc.db", ".hidden", "a//b.db", "a/", ""]


def refusal(cluster: HalfCluster, patch: str) -> str:
    """What kubectl says when it refuses a patched runner; it must refuse."""
    result = apply(cluster, "default", runner(patch), "--dry-run=server", check=False)
    assert result.returncode, f"accepted: {patch}"
    return result.stderr


@pytest.mark.parametrize(
    ("patch", "field", "message"), [c[1:] for c in CONTRADICTIONS], ids=[c[0] for c in CONTRADICTIONS]
)
def test_a_contradiction_is_refused(crd_installed: HalfCluster, patch: str, field: str, message: str) -> None:
    said = refusal(crd_installed, patch)
    assert INVALID in said
    assert f"{field}: " in said
    assert message in said


@pytest.mark.parametrize(("patch", "field"), MISSPELT, ids=[m[1] for m in MISSPELT])
def test_a_misspelt_field_is_refused_at_any_depth(crd_installed: HalfCluster, patch: str, field: str) -> None:
    said = refusal(crd_installed, patch)
    assert UNKNOWN in said
    assert f'{field}"' in said


@pytest.mark.parametrize("name", RESERVED)
def test_a_variable_that_contradicts_the_spec_is_refused(crd_installed: HalfCluster, name: str) -> None:
    env = f"[{{name: OTHER}}, {{name: {name}, value: a}}]"
    template = f"{{spec: {{containers: [{{name: proxy}}, {{name: worker, env: {env}}}]}}}}"
    said = refusal(crd_installed, f"spec: {{env: {env}, template: {template}}}")
    assert f"spec.env[1].name: Forbidden: {name} is set by the operator" in said
    assert f"spec.template.spec.containers[1].env: Forbidden: {name} is set by the operator" in said
    assert "set it there" in said


@pytest.mark.parametrize(("backend", "url"), PASSWORDS)
def test_an_inline_password_is_refused_and_the_mend_is_named(
    crd_installed: HalfCluster, backend: str, url: str
) -> None:
    besides = ", redis: {url: 'redis://redis'}" if backend == "rabbitmq" else ""
    how = f"{{urlFrom: null, url: '{url}'{besides}}}"
    said = refusal(crd_installed, f"spec: {{backend: {{redis: null, {backend}: {how}}}}}")
    assert f"spec.backend.{backend}.url: Forbidden: a password must not stand in the resource" in said
    assert "urlFrom: {secretKeyRef: {name: ..., key: ...}}" in said
    assert url not in said  # what kubectl prints ends in the logs of a pipeline


@pytest.mark.parametrize("path", PATHS)
def test_a_sqlite_path_stays_within_its_folder(crd_installed: HalfCluster, path: str) -> None:
    said = refusal(crd_installed, f"spec: {{backend: {{redis: null, sqlite: {{claimName: data, path: '{path}'}}}}}}")
    assert "spec.backend.sqlite.path: " in said
    assert "a relative path such as pynenc.db" in said
