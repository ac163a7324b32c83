"""What a MongoDB's refusals stand for, in the words of a condition."""

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

from pynenc_operator.backends import BrokerError, BrokerErrorKind
from pynenc_operator.mongoconnection import told

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
