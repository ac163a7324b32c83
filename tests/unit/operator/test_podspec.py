"""The pod that is built for a runner."""

from typing import Any

import pytest

from pynenc_operator.podspec import build_worker_pod, template_hash
from pynenc_worker import contract
from tests.unit.operator.resources import RABBITMQ, runner


def worker(**spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = build_worker_pod(runner(**spec), "reports-0")["spec"]["containers"][0]
    return container


def environment(**spec: Any) -> dict[str, Any]:
    return {item["name"]: item.get("value") for item in worker(**spec)["env"]}


def test_a_pod_is_one_runners_life_and_may_take_as_long_to_leave_as_a_drain() -> None:
    spec = build_worker_pod(runner(drainTimeoutSeconds=100), "reports-0")["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] == 130


def test_a_pod_belongs_to_its_runner_and_never_blocks_its_deletion() -> None:
    [owner] = build_worker_pod(runner(), "reports-0")["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == ("runner-uid", True, False)


def test_the_worker_is_told_what_it_works_for() -> None:
    told = environment(maxThreads=4)
    assert told["PYNENC__APP_ID"] == "reports"
    assert told["PYNENC__CONFIGTHREADRUNNER__MAX_THREADS"] == "4"
    assert told[contract.ENV_APP] == "reports.tasks"
    assert told[contract.ENV_BACKEND] == "redis"
    assert told[contract.ENV_BACKEND_URL] == "redis://redis:6379"


@pytest.mark.parametrize(("queues", "told"), [({"queues": ["fast", "slow"]}, "fast,slow"), ({}, "")])
def test_what_the_operator_sets_is_always_there_to_go_before_env_from(queues: dict[str, Any], told: str) -> None:
    environ = environment(**queues)
    assert environ.keys() >= set(contract.OPERATOR_SETTINGS)
    assert [environ[name] for name in contract.ENV_QUEUES] == [told, told]


def test_a_url_from_a_secret_arrives_as_a_file_and_never_in_the_environment() -> None:
    backend = {"redis": {"urlFrom": {"secretKeyRef": {"name": "reports-redis", "key": "dsn"}}}}
    pod = build_worker_pod(runner(backend=backend), "reports-0")["spec"]
    volume = next(v for v in pod["volumes"] if v["name"] == "pynenc-backend")
    assert volume["secret"] == {"secretName": "reports-redis", "items": [{"key": "dsn", "path": "url"}]}
    assert contract.ENV_BACKEND_URL not in environment(backend=backend)


def test_a_pod_sees_of_the_volume_of_sqlite_files_its_namespaces_folder_alone() -> None:
    backend = {"sqlite": {"claimName": "data", "path": "reports/pynenc.db"}}
    pod = build_worker_pod(runner(backend=backend), "reports-0")["spec"]
    [volume] = [each for each in pod["volumes"] if "persistentVolumeClaim" in each]
    assert volume["persistentVolumeClaim"] == {"claimName": "data"}
    [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == volume["name"]]
    assert mount["subPath"] == "shop"
    assert environment(backend=backend)[contract.ENV_BACKEND_URL] == f"{mount['mountPath']}/reports/pynenc.db"


def test_a_rabbitmq_worker_is_told_of_the_queue_and_of_the_redis_beside_it() -> None:
    told = environment(backend=RABBITMQ)
    assert told[contract.ENV_BACKEND] == "rabbitmq"
    assert told[contract.ENV_BACKEND_URL] == "amqp://rabbitmq/shop"
    assert told[contract.ENV_STORE_URL] == "redis://redis:6379"
    assert told[contract.ENV_QUEUE_PREFIX] == "reports"


def test_two_secrets_arrive_as_two_files_of_one_folder() -> None:
    def by_secret(name: str) -> dict[str, Any]:
        return {"urlFrom": {"secretKeyRef": {"name": name, "key": "dsn"}}}

    backend = {"rabbitmq": {**by_secret("mq"), "queuePrefix": "reports", "redis": by_secret("reports-redis")}}
    pod = build_worker_pod(runner(backend=backend), "reports-0")["spec"]
    [volume] = [v for v in pod["volumes"] if v["name"] == "pynenc-backend"]
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "mq", "items": [{"key": "dsn", "path": contract.URL_FILE}]}},
        {"secret": {"name": "reports-redis", "items": [{"key": "dsn", "path": contract.STORE_URL_FILE}]}},
    ]
    assert not {contract.ENV_BACKEND_URL, contract.ENV_STORE_URL} & environment(backend=backend).keys()


def test_the_template_is_merged_over_the_defaults_by_name() -> None:
    template = {
        "metadata": {"labels": {"team": "shop"}, "annotations": {"note": "x"}},
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "containers": [
                {"name": "worker", "resources": {"limits": {"memory": "1Gi"}}, "env": [{"name": "A", "value": "1"}]},
                {"name": "proxy", "image": "proxy:1"},
            ],
        },
    }
    pod = build_worker_pod(runner(template=template), "reports-0")
    first, second = pod["spec"]["containers"]
    assert first["image"] == "registry.example/reports:1.4"
    assert first["resources"] == {"limits": {"memory": "1Gi"}}
    assert {"name": "A", "value": "1"} in first["env"]
    assert second == {"name": "proxy", "image": "proxy:1"}
    assert pod["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert pod["metadata"]["labels"]["team"] == "shop"
    assert pod["metadata"]["labels"]["pynenc.org/runner"] == "reports"
    assert pod["metadata"]["annotations"] == {"note": "x"}


def test_a_label_that_the_operator_selects_by_can_not_be_changed() -> None:
    template = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me", "app.kubernetes.io/instance": "mine"}}}
    labels = build_worker_pod(runner(template=template), "reports-0")["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "pynenc-operator"
    assert labels["app.kubernetes.io/instance"] == "mine"


@pytest.mark.parametrize(
    "change",
    [{"image": "reports:2"}, {"maxThreads": 2}, {"env": [{"name": "A", "value": "1"}]}, {"drainTimeoutSeconds": 9}],
)
def test_what_pods_are_made_of_changes_the_hash(change: dict[str, Any]) -> None:
    assert template_hash(runner(**change)["spec"]) != template_hash(runner()["spec"])


@pytest.mark.parametrize("change", [{"minReplicas": 2}, {"replicas": 3}, {"mode": "Paused"}, {"idleTimeoutSeconds": 9}])
def test_what_only_scales_does_not(change: dict[str, Any]) -> None:
    assert template_hash(runner(**change)["spec"]) == template_hash(runner()["spec"])


def test_a_relaxed_operator_has_relaxed_workers() -> None:
    def told(pod: dict[str, Any]) -> dict[str, Any]:
        return {item["name"]: item.get("value") for item in pod["spec"]["containers"][0]["env"]}

    assert contract.ENV_TLS_STRICT not in told(build_worker_pod(runner(), "reports-0"))
    assert told(build_worker_pod(runner(), "reports-0", relaxed_x509=True))[contract.ENV_TLS_STRICT] == "false"
