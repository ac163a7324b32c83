"""Questions about many apps of one Redis, answered together: one round trip for all of them.

One answer must not hang on another: each question has commands or a transaction of its own in the pipeline, and what
goes wrong with its keys, by their type, their contents or the server's ACL, is that question's error alone.
"""

from collections.abc import Sequence
from typing import Any

from pynenc_operator.backends import Backend, BrokerError, BrokerErrorKind, cause_of, kind_of
from pynenc_operator.questions import Pipelined
from pynenc_worker.redisservers import unsuitable

# A broker of pynenc's, what it is asked, and whose it is.
type Asked = tuple[Any, Pipelined, Backend]


def answer_all(asked: Sequence[Asked]) -> list[Any]:
    """The answer to each, a BrokerError in place of one that there is not. In a thread."""
    try:
        with asked[0][0].client.pipeline(transaction=False) as pipe:
            sizes = [question.put(pipe, broker, backend) for broker, question, backend in asked]
            results = pipe.execute(raise_on_error=False)
    except Exception as error:  # noqa: BLE001 - any of the client's own
        return [as_broker_error(error)] * len(asked)
    answers = []
    for each, size in zip(asked, sizes, strict=True):
        mine, results = results[:size], results[size:]
        answers.append(_answer(*each, mine))
    return answers


def as_broker_error(error: Exception) -> BrokerError:
    """Whatever goes wrong is the backend's error, and only its class is told."""
    if isinstance(error, BrokerError):
        return error
    if words := unsuitable(error):
        return BrokerError(BrokerErrorKind.UNSUPPORTED, words, of_server=True)
    return BrokerError(kind_of(error), cause_of(error))


def _answer(broker: Any, question: Pipelined, backend: Backend, results: list[Any]) -> Any:  # noqa: ANN401
    try:
        return question.answer(results, broker, backend)
    except Exception as error:  # noqa: BLE001 - of whatever the keys hold, or the client's own where it has to ask again
        return as_broker_error(error)
