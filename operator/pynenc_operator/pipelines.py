"""Questions about many apps of one Redis, answered together: one round trip for all of them.

One app's answer must not hang on another's: what goes wrong with one key is that app's error alone, and an app
whose keys the server will not even take (by its ACL) spoils the transaction once, and is then asked by itself.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pynenc_operator.backends import Backend, BrokerError, cause_of, kind_of
from pynenc_operator.questions import CountQueue

# A broker of pynenc's, what it is asked, and whose it is.
type Asked = tuple[Any, CountQueue, Backend]


class OnAlone(Protocol):
    """Told of an app that spoils what is asked together, or no longer does."""

    def __call__(self, backend: Backend, *, alone: bool) -> None:
        """`alone`: it has to be asked by itself."""


def answer_all(asked: Sequence[Asked], on_alone: OnAlone) -> list[Any]:
    """The answer to each, a BrokerError in place of one that there is not. In a thread."""
    if len(asked) == 1:
        return [answer_one(*asked[0], on_alone=on_alone)]
    try:
        with asked[0][0].client.pipeline(transaction=True) as pipe:
            sizes = [question.put(pipe, broker, backend) for broker, question, backend in asked]
            results = pipe.execute(raise_on_error=False)
    except Exception as error:  # noqa: BLE001 - any of the client's own
        if not _of_one_command(error):
            return [as_broker_error(error)] * len(asked)
        return [answer_one(*each, on_alone=on_alone) for each in asked]
    answers = []
    for each, size in zip(asked, sizes, strict=True):
        mine, results = results[:size], results[size:]
        failed = next((result for result in mine if isinstance(result, Exception)), None)
        answers.append(as_broker_error(failed) if failed else _answer(*each, mine))
    return answers


def _answer(broker: Any, question: CountQueue, backend: Backend, results: Sequence[Any]) -> Any:  # noqa: ANN401
    try:
        return question.answer(results, broker, backend)
    except Exception as error:  # noqa: BLE001 - the client's own, where it has to ask once more
        return as_broker_error(error)


def answer_one(broker: Any, question: Callable[[Any, Backend], Any], backend: Backend, *, on_alone: OnAlone) -> Any:  # noqa: ANN401
    """The same of one app."""
    try:
        answer = question(broker, backend)
    except Exception as error:  # noqa: BLE001 - any plugin's own
        on_alone(backend, alone=_of_one_command(error))
        return as_broker_error(error)
    on_alone(backend, alone=False)
    return answer


def as_broker_error(error: Exception) -> BrokerError:
    """Whatever goes wrong is the backend's error, and only its class is told."""
    return error if isinstance(error, BrokerError) else BrokerError(kind_of(error), cause_of(error))


def _of_one_command(error: Exception) -> bool:
    """Whether the server has answered and refused a command; by name, so that no client has to be there."""
    return any(kind.__name__ == "ResponseError" for kind in type(error).__mro__)
