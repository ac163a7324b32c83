"""For each alert a story in which it fires and others, as near as can be, in which it does not."""

from dataclasses import dataclass
from typing import Final

OPERATOR: Final = 'namespace="pynenc-system",job="pynenc-operator-metrics"'
RUNNER: Final = 'runner_namespace="shop",runner="reports"'

type Labels = dict[str, str]

OF_RUNNER: Final[Labels] = {"runner_namespace": "shop", "runner": "reports"}
OF_OPERATOR: Final[Labels] = {"namespace": "pynenc-system", "job": "pynenc-operator-metrics"}


@dataclass(frozen=True)
class Story:
    """Samples, one a minute in promtool's notation, and which labels the alert fires with at a time, if it does."""

    alert: str
    name: str
    at: str
    series: dict[str, str]
    fires: tuple[Labels, ...] = ()


def _of(name: str, more: str = "", labels: str = RUNNER) -> str:
    return f"pynenc_operator_{name}{{{labels}{',' + more if more else ''}}}"


def _leader(pod: str) -> str:
    return _of("leader", f'pod="{pod}"', OPERATOR)


def _looks(result: str) -> str:
    return _of("reconciles_total", f'result="{result}"', OPERATOR)


def _requests(code: str) -> str:
    return _of("kube_api_requests_total", f'verb="list",resource="pods",code="{code}"', OPERATOR)


def _pods(state: str) -> str:
    return _of("runner_pods", f'state="{state}"')


def _scale_up(bound: str) -> str:
    return _of("scale_up_latency_seconds_bucket", f'le="{bound}"')


_NOT_READY: Final = {_of("runner_condition", 'type="Ready",status="False"'): "1x40", _of("broker_up"): "1x40"}
_AUTO: Final = {_of("runner_info", 'mode="Auto"'): "1x40"}
_PAUSED: Final = {_of("runner_info", 'mode="Paused"'): "1x40"}
_AT_MAXIMUM: Final = {_of("runner_desired_pods"): "4x200", _of("runner_max_pods"): "4x200"}

OF_THE_OPERATOR: Final = (
    Story("PynencOperatorDown", "none is scraped", "6m", {"up": "1x20"}, ({},)),
    Story("PynencOperatorDown", "none leads", "6m", {_leader("a"): "0x20", _leader("b"): "0x20"}, (OF_OPERATOR,)),
    Story("PynencOperatorDown", "it is scraped no more", "30m", {_leader("a"): "1x10 stale"}, (OF_OPERATOR,)),
    Story("PynencOperatorDown", "two hours later", "128m", {_leader("a"): "1x10 stale"}, (OF_OPERATOR, {})),
    Story("PynencOperatorDown", "three hours later", "180m", {_leader("a"): "1x10 stale"}, ({},)),
    Story(
        "PynencOperatorDown",
        "one of two releases is gone",
        "30m",
        {_leader("a"): "1x10 stale", _of("leader", labels='namespace="other",job="other-metrics"'): "1x40"},
        (OF_OPERATOR,),
    ),
    Story(
        "PynencOperatorDown",
        "its pod is another one now",
        "30m",
        {_leader("a"): "1x10 stale", _leader("b"): "_x10 1x30"},
    ),
    Story("PynencOperatorDown", "one of two leads", "20m", {_leader("a"): "0x20", _leader("b"): "1x20"}),
    Story("PynencOperatorDown", "the other takes over", "20m", {_leader("a"): "1x10 0x10", _leader("b"): "0x10 1x10"}),
    Story(
        "PynencOperatorNotReconciling",
        "the looks have stopped",
        "18m",
        {_of("last_reconcile_timestamp_seconds"): "0+60x5 300x20"},
        (OF_RUNNER,),
    ),
    Story(
        "PynencOperatorNotReconciling",
        "the slowest that can be set",
        "20m",
        {_of("last_reconcile_timestamp_seconds"): "0+60x20"},
    ),
    Story(
        "PynencOperatorNotReconciling",
        "another replica goes on",
        "20m",
        {
            _of("last_reconcile_timestamp_seconds", 'pod="a"'): "0+60x5 300x20",
            _of("last_reconcile_timestamp_seconds", 'pod="b"'): "0+60x20",
        },
    ),
    Story(
        "PynencOperatorReconcileErrors",
        "one look in ten fails",
        "25m",
        {_looks("error"): "0+6x30", _looks("success"): "0+54x30"},
        (OF_OPERATOR,),
    ),
    Story(
        "PynencOperatorReconcileErrors",
        "one look in thirty fails",
        "25m",
        {_looks("error"): "0+2x30", _looks("success"): "0+58x30"},
    ),
    Story(
        "PynencOperatorReconcileErrors",
        "a short outage",
        "25m",
        {_looks("error"): "0x5 0+6x5 30x20", _looks("success"): "0+54x30"},
    ),
    *(
        Story(
            "PynencOperatorApiErrors",
            f"one request in ten: {code}",
            "20m",
            {_requests(code): "0+6x30", _requests("200"): "0+54x30"},
            (OF_OPERATOR,),
        )
        for code in ("429", "503", "timeout", "connection")
    ),
    Story(
        "PynencOperatorApiErrors",
        "conflicts and pods that are gone",
        "20m",
        {_requests("409"): "0+20x30", _requests("404"): "0+20x30", _requests("200"): "0+20x30"},
    ),
)

OF_A_RUNNER: Final = (
    Story("PynencRunnerNotReady", "its pods fail", "20m", _NOT_READY | _AUTO, (OF_RUNNER,)),
    Story("PynencRunnerNotReady", "it is paused", "20m", _NOT_READY | _PAUSED),
    Story("PynencRunnerNotReady", "the broker's alert says it", "20m", _NOT_READY | _AUTO | {_of("broker_up"): "0x40"}),
    Story(
        "PynencRunnerNotReady",
        "it is Ready",
        "20m",
        {_of("runner_condition", 'type="Ready",status="True"'): "1x40", _of("broker_up"): "1x40"} | _AUTO,
    ),
    Story("PynencBrokerUnreachable", "no answer", "6m", {_of("broker_up"): "0x20"}, (OF_RUNNER,)),
    Story("PynencBrokerUnreachable", "no answer for 4 minutes", "12m", {_of("broker_up"): "0x3 1x20"}),
    Story(
        "PynencBacklogStuck",
        "idle workers leave it alone",
        "6m",
        {_of("queue_depth"): "3x20", _pods("active"): "0x20", _pods("draining"): "0x20", _pods("idle"): "1x20"} | _AUTO,
        (OF_RUNNER,),
    ),
    Story(
        "PynencBacklogStuck",
        "one works",
        "20m",
        {_of("queue_depth"): "3x20", _pods("active"): "1x20", _pods("draining"): "0x20"} | _AUTO,
    ),
    Story(
        "PynencBacklogStuck",
        "one that leaves still works",
        "20m",
        {_of("queue_depth"): "3x20", _pods("active"): "0x20", _pods("draining"): "1x20"} | _AUTO,
    ),
    Story(
        "PynencBacklogStuck",
        "nothing waits",
        "20m",
        {_of("queue_depth"): "0x20", _pods("active"): "0x20", _pods("draining"): "0x20"} | _AUTO,
    ),
    Story(
        "PynencBacklogStuck",
        "it is paused",
        "20m",
        {_of("queue_depth"): "3x20", _pods("active"): "0x20", _pods("draining"): "0x20"} | _PAUSED,
    ),
    *(
        Story(
            "PynencBacklogStuck",
            f"it is pinned at {pin}",
            "20m",
            {
                _of("queue_depth"): "3x20",
                _pods("active"): "0x20",
                _pods("draining"): "0x20",
                _of("runner_pinned_pods"): f"{pin}x20",
            }
            | _AUTO,
            fires,
        )
        for pin, fires in ((0, ()), (1, (OF_RUNNER,)))
    ),
    Story(
        "PynencBacklogNotDraining",
        "it grows at the maximum",
        "30m",
        {_of("queue_depth"): "100+5x40"} | _AT_MAXIMUM,
        (OF_RUNNER,),
    ),
    Story(
        "PynencBacklogNotDraining",
        "it grows while another replica takes over",
        "30m",
        {_of("queue_depth", 'pod="a"'): "100+5x20 stale", _of("queue_depth", 'pod="b"'): "_x20 200+5x20"} | _AT_MAXIMUM,
        (OF_RUNNER,),
    ),
    Story("PynencBacklogNotDraining", "it gets shorter", "30m", {_of("queue_depth"): "300-5x40"} | _AT_MAXIMUM),
    Story(
        "PynencBacklogNotDraining",
        "the pool may still grow",
        "30m",
        {_of("queue_depth"): "100+5x40", _of("runner_desired_pods"): "3x40", _of("runner_max_pods"): "4x40"},
    ),
    Story("PynencQueueTooOld", "11 minutes old", "6m", {_of("queue_oldest_age_seconds"): "660x20"}, (OF_RUNNER,)),
    Story("PynencQueueTooOld", "9 minutes old", "20m", {_of("queue_oldest_age_seconds"): "540x20"}),
    Story(
        "PynencScaleUpSlow",
        "all take 2 to 5 minutes",
        "45m",
        {_scale_up("120"): "0x60", _scale_up("300"): "0+1x60", _scale_up("+Inf"): "0+1x60"},
        (OF_RUNNER,),
    ),
    Story(
        "PynencScaleUpSlow",
        "all take a minute or two",
        "45m",
        {_scale_up("60"): "0x60", _scale_up("120"): "0+1x60", _scale_up("+Inf"): "0+1x60"},
    ),
    Story("PynencScaleUpSlow", "none was needed", "45m", {_scale_up("120"): "0x60", _scale_up("+Inf"): "0x60"}),
    Story(
        "PynencPodStartFailures",
        "one every 5 minutes",
        "60m",
        {_of("pod_start_failures_total", 'reason="ImagePull"'): "0x4 1x4 2x4 3x4 4x4 5x4 6x4 7x4 8x4 9x4 10x4 11x4"},
        (OF_RUNNER | {"reason": "ImagePull"},),
    ),
    Story(
        "PynencPodStartFailures",
        "two, and then it works",
        "20m",
        {_of("pod_start_failures_total", 'reason="ImagePull"'): "0x4 1x4 2x30"},
    ),
    Story(
        "PynencDrainsCutShort",
        "one was",
        "20m",
        {_of("pod_drains_total", 'result="timeout"'): "0x4 1x30"},
        (OF_RUNNER | {"result": "timeout"},),
    ),
    Story(
        "PynencDrainsCutShort",
        "all were clean",
        "20m",
        {
            _of("pod_drains_total", 'result="clean"'): "0+1x30",
            _of("pod_drains_total", 'result="timeout"'): "0x30",
            _of("pod_drains_total", 'result="forced"'): "0x30",
        },
    ),
    Story("PynencAtMaximum", "for 2 hours", "125m", {_of("queue_depth"): "5x200"} | _AT_MAXIMUM, (OF_RUNNER,)),
    Story("PynencAtMaximum", "for an hour and a half", "90m", {_of("queue_depth"): "5x200"} | _AT_MAXIMUM),
    Story("PynencAtMaximum", "nothing waits", "125m", {_of("queue_depth"): "0x200"} | _AT_MAXIMUM),
    Story(
        "PynencPoolFlapping",
        "a new pod every minute for a pool of one",
        "80m",
        {_of("pods_created_total"): "0+1x100", _of("runner_desired_pods"): "0 1 0x98"},
        (OF_RUNNER,),
    ),
    Story(
        "PynencPoolFlapping",
        "as many pods for a pool of twenty",
        "80m",
        {_of("pods_created_total"): "0+1x100", _of("runner_desired_pods"): "20x100"},
    ),
)

STORIES: Final = (*OF_THE_OPERATOR, *OF_A_RUNNER)
