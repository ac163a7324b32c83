"""The PATCH of the pod's own annotations, on a real API server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pynenc_worker import contract
from pynenc_worker.config import ApiConfig, PodIdentity
from pynenc_worker.pod_api import ApiRefusedError, ApiUnreachableError, PodApi
from tests.cluster.half_cluster import HalfCluster
from tests.cluster.pki import Authority
from tests.integration.worker.kubernetes_api import KubernetesApi
from tests.integration.worker.pod import Pod

ACTIVE = {contract.WORKER_STATE: "active"}


@pytest.fixture
def pod(half_cluster: HalfCluster, api: KubernetesApi, granted_namespace: str, tmp_path: Path) -> Pod:
    return Pod(half_cluster, api, granted_namespace, "worker", tmp_path)


@pytest.fixture
def config(api: KubernetesApi, pod: Pod) -> ApiConfig:
    return ApiConfig(host=api.host, port=api.port, serviceaccount_dir=pod.serviceaccount, tls_strict=True)


@pytest.fixture
def pod_api(config: ApiConfig, pod: Pod) -> Iterator[PodApi]:
    pod_api = PodApi(config, PodIdentity(pod.namespace, pod.name, pod.uid))
    yield pod_api
    pod_api.close()


def test_annotations_are_set_and_removed_and_others_stay(pod_api: PodApi, pod: Pod) -> None:
    pod.request(contract.DRAIN_REQUEST, "d")
    pod_api.patch_annotations({**ACTIVE, contract.DRAIN_ANSWER: "d"})
    pod_api.patch_annotations({contract.WORKER_STATE: "idle", contract.DRAIN_ANSWER: None})
    assert pod.annotations() == {contract.DRAIN_REQUEST: "d", contract.WORKER_STATE: "idle"}
    assert pod_api.clock.offset == 0.0


def test_an_answer_tells_that_the_pod_is_being_deleted(pod_api: PodApi, pod: Pod) -> None:
    assert not pod_api.patch_annotations({contract.WORKER_STATE: "idle"}).deleted
    pod.delete()
    assert pod_api.patch_annotations(ACTIVE).deleted


def test_an_answer_tells_which_drain_request_stands(pod_api: PodApi, pod: Pod) -> None:
    assert not pod_api.patch_annotations({contract.WORKER_STATE: "idle"}).drain_request
    pod.request(contract.DRAIN_REQUEST, "d")
    assert pod_api.patch_annotations(ACTIVE).drain_request == "d"


def test_a_connection_that_the_server_has_closed_is_made_anew(pod_api: PodApi, pod: Pod) -> None:
    pod_api.patch_annotations({contract.WORKER_STATE: "idle"})
    kept = pod_api._connection
    assert kept is not None
    assert kept.sock is not None
    kept.sock.close()
    pod_api.patch_annotations(ACTIVE)
    assert pod.annotations() == ACTIVE
    assert pod_api._connection is not kept


def test_the_token_is_read_again_for_each_request(pod_api: PodApi, pod: Pod) -> None:
    token = pod.serviceaccount / "token"
    good = token.read_text()
    token.write_text("not a token")
    with pytest.raises(ApiRefusedError, match="HTTP 401"):
        pod_api.patch_annotations(ACTIVE)
    token.write_text(good)
    pod_api.patch_annotations(ACTIVE)


def test_another_pod_of_the_same_name_is_not_meant(config: ApiConfig, pod: Pod) -> None:
    other = PodApi(config, PodIdentity(pod.namespace, pod.name, "00000000-0000-0000-0000-000000000000"))
    with pytest.raises(ApiRefusedError) as caught:
        other.patch_annotations(ACTIVE)
    other.close()
    assert caught.value.status == 422
    assert pod.annotations() == {}


def test_nobody_there_is_no_refusal(config: ApiConfig, pod: Pod) -> None:
    nobody = PodApi(replace(config, port=1), PodIdentity(pod.namespace, pod.name, pod.uid))
    with pytest.raises(ApiUnreachableError, match="ConnectionRefusedError"):
        nobody.patch_annotations(ACTIVE)


def test_an_authority_that_did_not_sign_the_server_is_not_trusted(
    config: ApiConfig, pod: Pod, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = Authority(tmp_path_factory.mktemp("stranger"))
    (pod.serviceaccount / "ca.crt").write_bytes(stranger.certificate.read_bytes())
    api = PodApi(config, PodIdentity(pod.namespace, pod.name, pod.uid))
    with pytest.raises(ApiUnreachableError, match="SSLCertVerificationError"):
        api.patch_annotations(ACTIVE)


def test_a_missing_token_is_waited_for(pod_api: PodApi, pod: Pod) -> None:
    (pod.serviceaccount / "token").unlink()
    with pytest.raises(ApiUnreachableError, match="FileNotFoundError"):
        pod_api.patch_annotations(ACTIVE)
