"""Names on objects: the API group, and the labels by which the operator finds its pods.

Labels only select; a pod belongs to a runner by its controller ownerReference's uid.
"""

from typing import Final

from pynenc_worker.contract import PREFIX

GROUP: Final = "pynenc.org"
VERSION: Final = "v1alpha1"
KIND: Final = "MultiThreadRunner"
PLURAL: Final = "multithreadrunners"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY_US: Final = "pynenc-operator"
APP_NAME: Final = "app.kubernetes.io/name"
APP_INSTANCE: Final = "app.kubernetes.io/instance"
RUNNER: Final = PREFIX + "runner"
TEMPLATE_HASH: Final = PREFIX + "template-hash"

ALL_WORKERS: Final = f"{MANAGED_BY}={MANAGED_BY_US}"


def workers_of(runner: str) -> str:
    """The label selector of one runner's pods."""
    return f"{ALL_WORKERS},{RUNNER}={runner}"
