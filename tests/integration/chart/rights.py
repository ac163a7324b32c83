"""What the operator may do, declared once: the chart grants it, and the operator makes do with it."""

from collections.abc import Iterable

from tests.integration.chart.rendering import RELEASE, Json

WORKERS = f"{RELEASE}-workers"

type Right = tuple[str, str, str, str]  # verb, API group, resource, name ("" is any)

# Where runners are served.
SERVING: set[Right] = {
    *((verb, "pynenc.org", "multithreadrunners", "") for verb in ("list", "watch")),
    ("patch", "pynenc.org", "multithreadrunners/status", ""),
    *((verb, "", "pods", "") for verb in ("get", "list", "watch", "create", "delete")),
    ("patch", "", "pods/status", ""),
    ("get", "", "secrets", ""),
    *((verb, "", "serviceaccounts", "") for verb in ("get", "create")),
    *((verb, "rbac.authorization.k8s.io", "rolebindings", "") for verb in ("get", "create", "update")),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", WORKERS),
    ("create", "events.k8s.io", "events", ""),
}

# In the operator's own namespace.
LEADING: set[Right] = {
    ("create", "coordination.k8s.io", "leases", ""),
    ("get", "coordination.k8s.io", "leases", RELEASE),
    ("update", "coordination.k8s.io", "leases", RELEASE),
}


def rights(rules: list[Json]) -> set[Right]:
    """The rules of a role, one by one; the workers' role by a name without its namespace."""
    return {
        (verb, group, resource, name.partition(".")[0])
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def used(requests: Iterable[Json]) -> set[Right]:
    """The rights that these requests of an audit log needed. Of names only a Lease's counts, as roles name it."""
    found: set[Right] = set()
    for request in requests:
        target = request.get("objectRef", {})
        if "resource" in target:
            resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
            name = target.get("name", "") if resource == "leases" and request["verb"] != "create" else ""
            found.add((request["verb"], target.get("apiGroup", ""), resource, name))
    return found
