"""The history of pods goes on where the API server does not know any more what came since."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.soak import podhistory
from tests.soak.podhistory import LongPodHistory

type Json = dict[str, Any]


class _Ended:
    """A watch that shows nothing."""

    @property
    def stdout(self) -> "_Ended":
        return self

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __enter__(self) -> "_Ended":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def terminate(self) -> None:
        pass


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> LongPodHistory:
    monkeypatch.setattr(subprocess, "Popen", lambda *_arguments, **_options: _Ended())
    made = LongPodHistory("here")
    made.close()
    return made


def pod(name: str, version: str, **status: object) -> Json:
    return {
        "metadata": {"name": name, "uid": name, "resourceVersion": version},
        "status": {"phase": "Running", **status},
    }


def marks(history: LongPodHistory) -> list[str]:
    return [f"{seen.name} {'gone' if seen.gone else 'ended' if seen.ended else 'live'}" for seen in history.all()]


def test_what_was_missed_is_told_in_an_order_in_which_it_can_have_come_about(
    history: LongPodHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    history._closing.clear()
    died = {"containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": 137}}}]}
    history._take({"type": "ADDED", "object": pod("reports-0", "1")})
    history._take({"type": "ADDED", "object": pod("reports-1", "2")})
    history._take({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}})
    listed = [pod("reports-2", "8"), pod("reports-1", "7", **died)]
    asked = []

    def read(path: str) -> Json:
        asked.append(path)
        return {"items": listed, "metadata": {"resourceVersion": "9"}}

    monkeypatch.setattr(podhistory, "read", read)
    history._begin()
    assert "watch" not in asked[0]
    assert marks(history) == ["reports-0 live", "reports-1 live", "reports-0 gone", "reports-1 ended", "reports-2 live"]
    assert history._version == "9"
    assert history.peak() == 2


def test_a_pod_whose_worker_has_ended_is_not_live_before_its_phase_says_so(history: LongPodHistory) -> None:
    other = {"containerStatuses": [{"name": "sidecar", "state": {"terminated": {"exitCode": 0}}}]}
    history._take({"type": "ADDED", "object": pod("reports-0", "1", **other)})
    died = {"containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": 137}}}]}
    history._take({"type": "MODIFIED", "object": pod("reports-0", "2", **died)})
    assert marks(history) == ["reports-0 live", "reports-0 ended"]
