"""What a worker's token is tried with: patches of its own pod that must be refused, and why."""

from typing import Any

from pynenc_worker import contract
from tests.integration.chart.caller import APPLY_PATCH, JSON_PATCH, STRATEGIC_MERGE_PATCH

type Json = dict[str, Any]

OWN = "reports-0"  # the pod whose token it is

# Other values than 64 characters: the API server itself wants a 32-bit integer as the cost.
LONGEST = {contract.RECOVERED_RUNNERS: "x" * 1024, contract.POD_DELETION_COST: "-2147483648"}

# (what is tried, merge patch of the worker's own pod in YAML, what the refusal says)
REFUSED = [
    ("a label", "metadata: {labels: {pynenc.org/runner: mine}}", "may not change the labels"),
    ("a removed label", "metadata: {labels: {pynenc.org/runner: null}}", "may not change the labels"),
    ("a finalizer", "metadata: {finalizers: [example.org/held, example.org/mine]}", "may not change the finalizers"),
    ("no finalizers", "metadata: {finalizers: null}", "may not change the finalizers"),
    ("a phase", "status: {phase: Succeeded}", "may not change the status"),
    ("a condition", "status: {conditions: [{type: Ready, status: 'True'}]}", "may not change the status"),
    ("an address", "status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}", "may not change the status"),
    ("a new annotation", "metadata: {annotations: {example.org/x: y}}", "not example.org/x"),
    ("a changed annotation", "metadata: {annotations: {team: b}}", "not team"),
    ("a removed annotation", "metadata: {annotations: {team: null}}", "not team"),
    (
        "every annotation removed",
        "metadata: {annotations: null}",
        "may change only the annotations of its report, not ",
    ),
    (
        "another drain request",
        "metadata: {annotations: {pynenc.org/drain-request: '8'}}",
        "not pynenc.org/drain-request",
    ),
    ("no drain request", "metadata: {annotations: {pynenc.org/drain-request: null}}", "not pynenc.org/drain-request"),
    (
        "runners to recover",
        "metadata: {annotations: {pynenc.org/recover-runners: x}}",
        "not pynenc.org/recover-runners",
    ),
    (
        "a key that begins like ours",
        "metadata: {annotations: {pynenc.org/worker-state-x: y}}",
        "not pynenc.org/worker-st",
    ),
    ("a foreign one beside ours", "metadata: {annotations: {pynenc.org/worker-state: active, a: b}}", "not a"),
    *(
        (f"65 characters of {key}", f"metadata: {{annotations: {{{key}: {'x' * 65}}}}}", f"too long: {key}")
        for key in contract.WORKER_WRITES
        if key not in LONGEST
    ),
    (
        "1,025 characters of recovered runners",
        f"metadata: {{annotations: {{{contract.RECOVERED_RUNNERS}: {'x' * 1025}}}}}",
        f"too long: {contract.RECOVERED_RUNNERS}",
    ),
]

OTHER_WAYS = [
    ("JSON patch", JSON_PATCH, [{"op": "replace", "path": "/metadata/annotations/team", "value": "b"}]),
    ("strategic merge patch", STRATEGIC_MERGE_PATCH, {"metadata": {"annotations": {"team": "b"}}}),
    (
        "server-side apply",
        APPLY_PATCH,
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": OWN, "annotations": {"team": "b"}}},
    ),
]


def annotate(**annotations: str | None) -> Json:
    return {"metadata": {"annotations": annotations}}


def report(state: str) -> Json:
    return annotate(**{contract.WORKER_STATE: state})
