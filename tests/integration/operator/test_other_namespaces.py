"""What belongs to another namespace, and no runner of this one can make the operator read: Secrets, SQLite files."""

import gc
from pathlib import Path
from typing import Any

import pytest
from pynenc import Pynenc

from pynenc_operator.backends import BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.credentials import Credentials, CredentialsError
from pynenc_operator.kube import Invalid, Kube, NotFound
from pynenc_operator.model import Key
from pynenc_operator.questions import CountQueue
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.conftest import runner
from tests.integration.operator.rest import Api

type Json = dict[str, Any]


@pytest.mark.fault("security", "Secrets of another namespace, by paths as names and by the same name")
async def test_a_secret_of_another_namespace_is_not_read(
    crd_installed: HalfCluster, namespace: str, kube: Kube, api: Api
) -> None:
    elsewhere = f"{namespace}-elsewhere"
    crd_installed.create_namespace(elsewhere)
    literal = "--from-literal=url=redis://:pa55word@redis:6379"
    crd_installed.kubectl("create", "secret", "generic", "theirs", literal, f"--namespace={elsewhere}")
    assert (await kube.get_secret(elsewhere, "theirs"))["data"]
    credentials = Credentials(kube, sqlite_dir="/data")
    for name in (
        f"../../{elsewhere}/secrets/theirs",
        f"..%2F..%2F{elsewhere}%2Fsecrets%2Ftheirs",
        "..",
        ".",
        "a/b",
        "a?b",
    ):
        backend = {"redis": {"urlFrom": {"secretKeyRef": {"name": name, "key": "url"}}}}
        with pytest.raises(Invalid):
            await kube.get_secret(namespace, name)
        with pytest.raises(CredentialsError):  # as with a definition that has no rule for the name
            await credentials.backend(Key(namespace, "reports"), runner(backend=backend))
        code, answer = api.ask("POST", api.runners, runner(backend=backend))
        assert (code, "secretKeyRef.name" in answer["message"]) == (422, True), name
    with pytest.raises(NotFound):
        await kube.get_secret(namespace, "theirs")
    reference = {"name": "theirs", "key": "url", "namespace": elsewhere}
    strict = f"{api.runners}?fieldValidation=Strict"
    code, answer = api.ask("POST", strict, runner(backend={"redis": {"urlFrom": {"secretKeyRef": reference}}}))
    assert (code, "secretKeyRef.namespace" in answer["message"]) == (400, True)


@pytest.mark.fault("security", "another namespace's SQLite file, by its path and by links, also ones made afterwards")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynenc leaves connections open
async def test_a_sqlite_file_of_another_namespace_is_not_counted(kube: Kube, tmp_path: Path) -> None:
    await try_files(kube, tmp_path)
    gc.collect()  # while what pynenc leaves open is still ignored


async def try_files(kube: Kube, tmp_path: Path) -> None:
    for namespace, entries in (("mine", ["one"]), ("theirs", ["one", "two"])):
        (tmp_path / namespace / "folder").mkdir(parents=True)
        file = tmp_path / namespace / "folder" / "queue.db"
        values = {"app_id": "reports", "broker_cls": "SQLiteBroker", "sqlite_db_path": str(file)}
        Pynenc(config_values=values).broker.route_invocations(entries)
    credentials, source = Credentials(kube, sqlite_dir=str(tmp_path)), BackendSource()

    async def count(path: str) -> int:
        spec = {"sqlite": {"claimName": "data", "path": path}}
        backend = await credentials.backend(Key("mine", "reports"), runner(backend=spec))
        return (await source.ask(backend, CountQueue())).waiting

    theirs = tmp_path / "theirs" / "folder"
    for path in ("../theirs/folder/queue.db", str(theirs / "queue.db"), "folder/../../theirs/folder/queue.db"):
        with pytest.raises(CredentialsError):
            await count(path)
    (tmp_path / "mine" / "link.db").symlink_to(theirs / "queue.db")
    (tmp_path / "mine" / "link").symlink_to(theirs)
    for path in ("link.db", "link/queue.db"):
        with pytest.raises(BrokerError) as refused:
            await count(path)
        assert refused.value.kind is BrokerErrorKind.REFUSED
    assert await count("folder/queue.db") == 1
    (tmp_path / "mine" / "folder").rename(tmp_path / "mine" / "before")
    (tmp_path / "mine" / "folder").symlink_to(theirs)
    with pytest.raises(BrokerError) as refused:
        await count("folder/queue.db")
    assert refused.value.kind is BrokerErrorKind.REFUSED
