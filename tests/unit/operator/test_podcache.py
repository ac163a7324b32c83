"""What the cache makes of watches, LISTs and answers, in whatever order they come."""

from typing import Any

import pytest

from pynenc_operator.model import Key
from pynenc_operator.podcache import PodCache, RunnerCache, Vanished
from tests.unit.operator.resources import pod, runner

KEY = Key("shop", "reports")
NOW = 5000.0


def version(number: int, *, uid: str = "pod-uid", **annotations: str | None) -> dict[str, Any]:
    """The pod at a resourceVersion, with other annotations; None takes one away."""
    body = pod()
    body["metadata"].update(resourceVersion=str(number), uid=uid)
    for name, value in annotations.items():
        key = "pynenc.org/" + name.replace("_", "-")
        if value is None:
            del body["metadata"]["annotations"][key]
        else:
            body["metadata"]["annotations"][key] = value
    return body


def unheard() -> dict[str, Any]:
    """The pod before its worker's first report."""
    return version(1, worker_state=None, worker_state_since=None, active_invocations=None)


def shown(cache: PodCache, kind: str, body: dict[str, Any], now: float = NOW) -> Key | None:
    return cache.apply_event({"type": kind, "object": body}, now)


def test_a_runner_is_woken_only_for_what_matters() -> None:
    cache = PodCache()
    assert shown(cache, "ADDED", version(1)) == KEY
    assert shown(cache, "MODIFIED", version(2)) is None
    assert shown(cache, "MODIFIED", version(3, worker_state="active")) == KEY
    assert shown(cache, "DELETED", version(4)) == KEY
    assert cache.of(KEY) == ()


def test_a_pod_whose_label_is_taken_off_is_gone_and_watched_over_until_it_is_put_back() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1, worker_state="active"))
    bare = version(2, worker_state="active")
    del bare["metadata"]["labels"]["pynenc.org/runner"]
    assert shown(cache, "MODIFIED", bare) == KEY
    assert cache.of(KEY) == ()
    assert [one.uid for one in cache.vanished(KEY)] == ["pod-uid"]
    assert shown(cache, "MODIFIED", bare) is None
    elsewhere = version(3, worker_state="active")
    elsewhere["metadata"]["labels"]["pynenc.org/runner"] = "other"
    other = Key("shop", "other")
    assert shown(cache, "MODIFIED", elsewhere) == other
    assert [view.uid for view in cache.of(other)] == ["pod-uid"]
    assert shown(cache, "MODIFIED", version(4, worker_state="active")) == other
    assert cache.of(other) == ()
    assert [view.uid for view in cache.of(KEY)] == ["pod-uid"]
    assert cache.vanished(KEY) == ()


def test_the_cache_learns_how_long_a_start_takes() -> None:
    cache = PodCache()
    silent = unheard()
    created = 1767225600.0
    shown(cache, "ADDED", silent, created + 1)
    assert cache.take_start(KEY) is None
    shown(cache, "MODIFIED", version(2), created + 4)
    assert cache.take_start(KEY) == 4.0
    assert cache.take_start(KEY) is None


def test_a_list_removes_what_the_watch_has_missed() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1))
    cache.replace(KEY, [], cache.list_begins(KEY), NOW)
    assert cache.of(KEY) == ()


def test_what_is_not_among_all_pods_is_gone_unless_something_was_heard_of_it_since() -> None:
    cache = PodCache()
    for uid, name in (("there", "reports-0"), ("gone", "reports-1"), ("heard-of", "reports-2")):
        body = version(1, uid=uid)
        body["metadata"]["name"] = name
        shown(cache, "ADDED", body)
    known = cache.known(None)
    newer = version(2, uid="heard-of")
    newer["metadata"]["name"] = "reports-2"
    shown(cache, "MODIFIED", newer)
    came = version(3, uid="came")
    came["metadata"]["name"] = "reports-3"
    shown(cache, "ADDED", came)
    assert cache.retain(None, known, {"there"}) == {KEY}
    assert {pod.uid for pod in cache.of(KEY)} == {"there", "heard-of", "came"}
    assert [one.uid for one in cache.vanished(KEY)] == ["gone"]
    assert cache.retain(None, cache.known(None), {"there", "heard-of", "came"}) == set()


def test_pods_stay_known_until_they_are_gone_whether_their_runner_is_known_or_not() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1))
    cache.forget(KEY)  # a look before the runner was shown
    assert len(cache.of(KEY)) == 1
    assert shown(cache, "MODIFIED", version(2, uid="another")) == KEY  # of the same name: it takes the place
    assert [pod.uid for pod in cache.of(KEY)] == ["another"]
    assert shown(cache, "DELETED", version(3, uid="another")) == KEY
    cache.forget(KEY)
    assert not any((cache._pods, cache._runner_of, cache._vanished, cache._deleted, cache._starts))


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1))
    assert cache.known("elsewhere") == {}
    assert cache.retain("elsewhere", cache.known("elsewhere"), set()) == set()
    assert len(cache.of(KEY)) == 1
    assert not cache.is_whole(KEY)
    cache.retain(KEY.namespace, cache.known(KEY.namespace), {"pod-uid"})
    assert cache.is_whole(KEY)
    assert not cache.is_whole(Key("third", "reports"))


def test_a_pod_whose_deletion_was_seen_is_not_brought_back_by_an_answer_from_before() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1))
    shown(cache, "DELETED", version(2))
    cache.put(KEY, version(1), NOW + 1)
    assert cache.of(KEY) == ()
    another = version(3, uid="another")
    shown(cache, "ADDED", another, NOW + 3600)
    shown(cache, "DELETED", another, NOW + 3600)
    assert cache._deleted == {KEY: {"another": NOW + 3600}}  # what is long ago is not kept


def test_a_slow_list_undoes_nothing_that_the_watch_has_shown_since() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1))
    known = cache.list_begins(KEY)
    shown(cache, "MODIFIED", version(5, worker_state="active"))
    cache.replace(KEY, [version(1)], known, NOW)
    assert [view.resource_version for view in cache.of(KEY)] == ["5"]

    known = cache.list_begins(KEY)
    shown(cache, "DELETED", version(6, worker_state="drained"))
    cache.replace(KEY, [version(5)], known, NOW)
    assert cache.of(KEY) == ()

    known = cache.list_begins(KEY)
    shown(cache, "ADDED", version(8, uid="another"))
    cache.replace(KEY, [], known, NOW)
    assert [view.uid for view in cache.of(KEY)] == ["another"]


def test_an_old_answer_does_not_replace_what_the_watch_has_shown() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(5, worker_state="active"))
    cache.put(KEY, version(3), NOW)
    assert [view.resource_version for view in cache.of(KEY)] == ["5"]


def test_the_end_of_a_pod_of_the_same_name_does_not_touch_the_next_one() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1))
    shown(cache, "ADDED", version(9, uid="next"))
    assert shown(cache, "DELETED", version(8)) is None
    assert [view.uid for view in cache.of(KEY)] == ["next"]


def test_a_worker_that_went_without_a_word_is_remembered_until_it_is_settled() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1, worker_state="active"))
    shown(cache, "DELETED", version(2, worker_state="active"))
    assert cache.vanished(KEY) == (Vanished("pod-uid", "runner-uid", ended=False),)
    cache.settle(KEY, ["pod-uid"])
    assert cache.vanished(KEY) == ()


def test_who_drained_or_never_reported_left_nothing_behind() -> None:
    cache = PodCache()
    for number, body in enumerate((version(1, worker_state="drained"), unheard())):
        body["metadata"]["uid"] = str(number)
        shown(cache, "ADDED", body)
        shown(cache, "DELETED", body)
    assert cache.vanished(KEY) == ()


def test_an_answer_that_comes_after_the_deletion_revives_nothing() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1))
    shown(cache, "DELETED", version(3, worker_state="drained"))
    cache.put(KEY, version(2), NOW)
    assert cache.of(KEY) == ()


def test_a_pod_that_comes_back_has_not_vanished() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1))
    cache.replace(KEY, [], cache.list_begins(KEY), NOW)
    assert len(cache.vanished(KEY)) == 1
    shown(cache, "ADDED", version(2))
    assert cache.vanished(KEY) == ()


def test_a_list_is_believed_after_a_restored_backup() -> None:
    cache = PodCache()
    shown(cache, "ADDED", version(1000))
    cache.replace(KEY, [version(50)], cache.list_begins(KEY), NOW)
    assert [view.resource_version for view in cache.of(KEY)] == ["50"]


def test_an_older_event_does_not_undo_a_runners_status() -> None:
    cache = RunnerCache()
    newer, older = runner(), runner()
    newer["metadata"]["resourceVersion"], older["metadata"]["resourceVersion"] = "20", "19"
    newer["status"] = {"replicas": 1}
    cache.put(newer)
    cache.apply_event({"type": "MODIFIED", "object": older})
    assert cache.get(KEY) == newer


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"status": {"replicas": 1}}, None),  # our own write, or one that the next look undoes
        ({"metadata": {"generation": 2}}, KEY),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, KEY),
        ({"metadata": {"uid": "another"}}, KEY),
        ({"spec": {"app": "x"}}, KEY),  # without a new generation: the definition has changed
        ({"metadata": {"resourceVersion": "9", "generation": 2}}, None),  # older than what is known
    ],
)
def test_a_runner_is_looked_at_when_what_is_wanted_of_it_has_changed(
    change: dict[str, Any], expected: Key | None
) -> None:
    cache = RunnerCache()
    before = runner()
    before["metadata"] |= {"resourceVersion": "10", "generation": 1}
    assert cache.apply_event({"type": "ADDED", "object": before}) == KEY
    after = {
        **before,
        **change,
        "metadata": before["metadata"] | {"resourceVersion": "11"} | change.get("metadata", {}),
    }
    assert cache.apply_event({"type": "MODIFIED", "object": after}) == expected
    assert cache.apply_event({"type": "DELETED", "object": after}) == KEY


def named(name: str, namespace: str = KEY.namespace, version: str = "1") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}", "resourceVersion": version},
        "spec": {"app": version},
    }


def test_a_list_takes_what_is_gone_away_and_leaves_other_namespaces_alone() -> None:
    cache = RunnerCache()
    for body in (named("stays"), named("changes"), named("gone"), named("elsewhere", "other")):
        cache.put(body)
    told = {**named("stays"), "status": {"replicas": 1}}
    changed = cache.replace(cache.known(KEY.namespace), [told, named("changes", version="2"), named("new")])
    assert changed == {Key(KEY.namespace, name) for name in ("changes", "gone", "new")}
    assert {key: body["spec"]["app"] for key, body in cache.items()} == {
        Key(KEY.namespace, "stays"): "1",
        Key(KEY.namespace, "changes"): "2",
        Key(KEY.namespace, "new"): "1",
        Key("other", "elsewhere"): "1",
    }


def test_what_is_heard_while_a_list_is_on_its_way_holds() -> None:
    cache = RunnerCache()
    for body in (named("changed"), named("deleted"), named("again")):
        cache.put(body)
    known = cache.known()
    listed = [*known.values()]
    cache.apply_event({"type": "MODIFIED", "object": named("changed", version="5")})
    cache.apply_event({"type": "DELETED", "object": named("deleted")})
    cache.apply_event({"type": "ADDED", "object": named("created", version="6")})
    cache.apply_event({"type": "DELETED", "object": named("again")})
    new = {**named("again", version="8"), "metadata": {**named("again", version="8")["metadata"], "uid": "another"}}
    cache.apply_event({"type": "ADDED", "object": new})
    assert cache.replace(known, listed[:2]) == set()
    assert {key.name: body["spec"]["app"] for key, body in cache.items()} == {
        "changed": "5",
        "created": "6",
        "again": "8",
    }
