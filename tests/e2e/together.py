"""Stories that run side by side, each on a pool of its own: most of a story is waiting.

All that pytest has chosen start together, a few at a time and in its order, before any other test; each is still a
test of its own, which waits for its outcome. What belongs to the whole cluster (the operator's going, the audit log's
counts) is no such story.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pool import Pool
from tests.outcomes import OUTCOME, Outcome

type Story = Callable[[Pool], None]
type Test = Callable[..., None]

AT_ONCE = 4


class Together:
    """The chosen stories, by pytest's name of each: what makes a pool, and what is told of it."""

    def __init__(self, stories: Mapping[str, tuple[Callable[[], Any], Callable[[Any], None]]]) -> None:
        self._places = threading.Semaphore(AT_ONCE)
        self._outcomes: dict[str, Future[Outcome]] = {name: Future() for name in stories}
        # Daemons, so that Ctrl-C ends the run at once; what they leave is removed by the next one.
        threading.Thread(target=self._start, args=(stories,), name="stories", daemon=True).start()

    def outcome(self, name: str) -> Outcome:
        """Wait for a story's end; what came of its pool, or raises what it raised."""
        return self._outcomes[name].result()

    def _start(self, stories: Mapping[str, tuple[Callable[[], Pool], Story]]) -> None:
        for name, story in stories.items():
            self._places.acquire()
            threading.Thread(target=self._run, args=(name, *story), name=name, daemon=True).start()

    def _run(self, name: str, make_pool: Callable[[], Pool], story: Story) -> None:
        outcome = self._outcomes[name]
        try:
            pool = make_pool()
            try:
                story(pool)
            except BaseException as error:
                error.add_note(f"=== {pool.namespace}\n{pool.diagnosis()}")
                raise
            finally:
                pool.close()
        except BaseException as error:  # noqa: BLE001 - it is raised in the test that waits
            outcome.set_exception(error)
        else:
            outcome.set_result(pool.outcome)
        finally:
            self._places.release()


def chosen(session: pytest.Session, *folders: Path) -> list[tuple[pytest.Function, Callable[[Any], None]]]:
    """The tests in some folders that are to run and are stories, and the story of each."""
    items = [item for item in session.items if isinstance(item, pytest.Function) and item.path.parent in folders]
    return [(item, getattr(item.function, STORY)) for item in items if is_story(item)]


def is_story(item: pytest.Item) -> bool:
    """Whether a test is one that runs beside others."""
    return isinstance(item, pytest.Function) and hasattr(item.function, STORY)


def side_by_side[P: Pool](story: Callable[[P], None]) -> Test:
    """Make a test of a story that takes a pool."""

    def test(
        together: Together, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
    ) -> None:
        record_property(OUTCOME, together.outcome(request.node.nodeid))

    test.__name__, test.__doc__, test.__module__ = story.__name__, story.__doc__, story.__module__
    setattr(test, STORY, story)
    return test


STORY = "story"  # the attribute of a test that is one
