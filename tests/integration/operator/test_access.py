"""The rights of a namespace's workers, on a real API server: made where they lack, looked at no more than needed."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pynenc_operator.access import IN_ORDER_SECONDS, Access
from pynenc_operator.clock import Clock
from pynenc_operator.kube import Kube, NotFound
from pynenc_operator.kube_connection import Connection
from pynenc_operator.model import Key
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.conftest import runner

ROLE = "workers"
LOOK = Counter({("get", "serviceaccounts"): 1, ("get", "rolebindings"): 1})


class Scene:
    """Access as the administrator, its requests, and a clock that the test moves."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.asked: Counter[tuple[str, str]] = Counter()
        self.now = 1000.0
        self.kube: Kube
        self.access: Access

    async def ensure(self, name: str = "reports", **spec: Any) -> Counter[tuple[str, str]]:
        """Have a runner's rights seen to; what was asked for it."""
        self.asked.clear()
        await self.access.ensure(Key(self.namespace, name), runner(name, **spec))
        return Counter(self.asked)

    async def subjects(self) -> list[str]:
        found = await self.kube.get_role_binding(self.namespace, ROLE)
        return [subject["name"] for subject in found["subjects"]]


@pytest.fixture
async def scene(crd_installed: HalfCluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setenv("KUBECONFIG", str(crd_installed.kubeconfig))
    crd_installed.kubectl("create", "clusterrole", ROLE, "--verb=get", "--resource=pods", check=False)
    scene = Scene(namespace)
    connection = await Connection.open(Clock(), lambda verb, resource, *_: scene.asked.update([(verb, resource)]))
    scene.kube = Kube(connection)
    scene.access = Access(scene.kube, ROLE, lambda: scene.now)
    yield scene
    await connection.close()


async def test_an_account_and_its_right_are_made_once_for_all_runners_of_a_namespace(scene: Scene) -> None:
    assert await scene.ensure() == LOOK + Counter({("create", "serviceaccounts"): 1, ("create", "rolebindings"): 1})
    assert await scene.subjects() == ["pynenc-worker"]
    for name in ("reports", "mails", "images"):
        assert await scene.ensure(name) == {}
    scene.now += IN_ORDER_SECONDS
    assert await scene.ensure("mails") == LOOK
    assert await scene.ensure() == {}


async def test_an_account_of_the_users_own_is_bound_beside_it(scene: Scene) -> None:
    await scene.ensure()
    asked = await scene.ensure(template={"spec": {"serviceAccountName": "own"}})
    assert asked == {("get", "rolebindings"): 1, ("update", "rolebindings"): 1}
    assert await scene.subjects() == ["pynenc-worker", "own"]


async def test_what_somebody_has_removed_is_made_again_at_the_next_look(
    scene: Scene, crd_installed: HalfCluster
) -> None:
    await scene.ensure()
    crd_installed.kubectl("delete", "rolebinding", ROLE, "-n", scene.namespace)
    scene.now += IN_ORDER_SECONDS
    await scene.ensure()
    assert await scene.subjects() == ["pynenc-worker"]


async def test_rights_that_could_not_be_made_are_tried_again_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise NotFound("no such namespace", verb="create", resource="rolebindings")

    with monkeypatch.context() as patched:
        patched.setattr(scene.kube, "create_role_binding", refuse)
        with pytest.raises(NotFound):
            await scene.ensure()
    await scene.ensure()
    assert await scene.subjects() == ["pynenc-worker"]
