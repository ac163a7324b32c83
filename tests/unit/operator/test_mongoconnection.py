"""What a MongoDB's refusals stand for, in the words of a condition."""

import threading
from contextlib import closing

import pytest
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ExecutionTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.hello import Hello
from pymongo.server_description import ServerDescription

from pynenc_operator.backends import BrokerError, BrokerErrorKind
from pynenc_operator.mongoconnection import connect, told

SAID = "user:s3cret@mongo.example"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OperationFailure(SAID, 18), BrokerErrorKind.AUTHENTICATION),
        (OperationFailure(SAID, 13), BrokerErrorKind.AUTHENTICATION),
        (OperationFailure(SAID, 59), BrokerErrorKind.UNSUPPORTED),
        (OperationFailure(SAID, 40324), BrokerErrorKind.UNSUPPORTED),
        (OperationFailure(SAID, 6), BrokerErrorKind.UNREACHABLE),  # a shard is away, behind a router that answers
        (OperationFailure(SAID, 11601), BrokerErrorKind.UNREACHABLE),  # interrupted
        (ExecutionTimeout(SAID, 50), BrokerErrorKind.TIMEOUT),
        (NotPrimaryError(SAID), BrokerErrorKind.UNREACHABLE),
        (AutoReconnect(SAID), BrokerErrorKind.UNREACHABLE),
        (ServerSelectionTimeoutError(SAID), BrokerErrorKind.UNREACHABLE),
        (ConfigurationError(SAID), BrokerErrorKind.REFUSED),
    ],
)
def test_only_what_can_not_pass_is_unsupported_and_no_word_of_the_servers_is_told(
    error: PyMongoError, kind: BrokerErrorKind
) -> None:
    with pytest.raises(BrokerError) as caught, told():
        raise error
    assert caught.value.kind is kind
    assert "s3cret" not in str(caught.value)
    assert "example" not in str(caught.value)


def watching() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "monitor" in thread.name}


@pytest.mark.parametrize(("members", "more"), [(5, 4), (5000, 0)])
def test_a_server_that_names_any_number_of_others_has_few_of_them_watched(members: int, more: int) -> None:
    hosts = [f"127.0.0.1:{number}" for number in range(1, members + 1)]
    said = {"ok": 1, "isWritablePrimary": True, "setName": "rs", "setVersion": 1, "hosts": hosts, "maxWireVersion": 21}
    # No address of these is let through: nothing is connected to.
    with closing(connect("mongodb://127.0.0.1:1/?replicaSet=rs", allow_local=False, connections=1)) as client:
        topology = client._get_topology()
        before = watching()
        topology.on_change(ServerDescription(("127.0.0.1", 1), Hello(said)))
        assert len(client.topology_description.server_descriptions()) == members
        assert len(watching() - before) == more
