"""What the platform does by itself elsewhere: starting a part of the control plane again that has ended."""

from tests.cluster import health, interruption
from tests.cluster.paths import ClusterPaths


def revive(paths: ClusterPaths) -> list[str]:
    """Let such parts start again, as a kubelet or systemd would; which. The API server is left to whoever killed it.

    kube-scheduler ends itself when its cache and the API server disagree, as they may after the API server's death.
    """
    states = health.component_states(paths)
    ended = [name for name, state in states.items() if state != "running" and name != interruption.API_SERVER]
    interruption.want_back(paths, *ended)
    return [f"{name} ({states[name]})" for name in ended]
