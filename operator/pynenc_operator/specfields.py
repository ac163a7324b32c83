"""Reading a runner's spec field by field; one that its definition would not allow is an error that names the field.

Pure. The API server refuses such a spec, so none comes while the definition is this version's. Where somebody has
loosened it, nothing can be said of the runner but this.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final, Self

_BACKENDS: Final = ("redis", "rabbitmq", "mongodb", "sqlite")


class SpecInvalid(Exception):  # noqa: N818 - the reason of its event
    """A field of a spec is not what this version's definition allows. Its value is not told: it may be secret."""

    mend = "mend it, and apply the CustomResourceDefinition of the operator's version, which refuses such a field"

    def __init__(self, field: str, wanted: str) -> None:
        self.field = field
        self.message = f"{field} has to be {wanted}"
        super().__init__(f"{self.message} ({self.mend})")


class Fields:
    """An object somewhere in a spec; `path` is where, as `kubectl explain` writes it."""

    def __init__(self, value: Any, path: str = "spec") -> None:  # noqa: ANN401 - whatever there is
        if not isinstance(value, dict):
            raise SpecInvalid(path, "an object")
        self._value = value
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self._value

    def integer(self, name: str, least: int = 0) -> int:
        """A whole number that is no less than `least`."""
        value = self._value.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise SpecInvalid(f"{self._path}.{name}", f"a whole number, at least {least}")
        return value

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._value.get(name)
        if not isinstance(value, bool):
            raise SpecInvalid(f"{self._path}.{name}", "true or false")
        return value

    def text(self, name: str) -> str:
        """Text that is not empty."""
        value = self._value.get(name)
        if not isinstance(value, str) or not value:
            raise SpecInvalid(f"{self._path}.{name}", "a text that is not empty")
        return value

    def one_of[E: StrEnum](self, name: str, kind: type[E]) -> E:
        """A word of those that `kind` knows."""
        value = self._value.get(name)
        if not isinstance(value, str) or value not in kind:
            raise SpecInvalid(f"{self._path}.{name}", f"one of {', '.join(kind)}")
        return kind(value)

    def within(self, name: str) -> Self:
        """The object in a field, which has to be there."""
        return type(self)(self._value.get(name), f"{self._path}.{name}")

    def maybe_within(self, name: str) -> Self:
        """The object in a field, an empty one if there is no such field."""
        return type(self)(self._value.get(name, {}), f"{self._path}.{name}")

    def texts(self, name: str) -> tuple[str, ...]:
        """The list of texts in a field, empty if there is no such field."""
        value = self._value.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise SpecInvalid(f"{self._path}.{name}", "a list of texts")
        return tuple(value)

    def objects(self, name: str) -> Iterator[Self]:
        """The objects of a list, none if there is no such field."""
        value = self._value.get(name, [])
        if not isinstance(value, list):
            raise SpecInvalid(f"{self._path}.{name}", "a list of objects")
        for number, item in enumerate(value):
            yield type(self)(item, f"{self._path}.{name}[{number}]")

    def all_texts(self) -> None:
        """Check that each field holds a text."""
        for name, value in self._value.items():
            if not isinstance(value, str):
                raise SpecInvalid(f"{self._path}.{name}", "a text")

    def the_one_of(self, names: tuple[str, ...], besides: tuple[str, ...] = ()) -> str:
        """The name of the only field, which has to be one of `names`; those `besides` may be there as well."""
        found = [name for name in self._value if name not in besides]
        if len(found) != 1 or found[0] not in names:
            raise SpecInvalid(self._path, f"exactly one of {', '.join(names)}")
        return str(found[0])


def check_pod_fields(spec: Fields) -> None:
    """Check what a runner's pods are made of, and where its queue is, as far as the operator itself reads it."""
    spec.text("app")
    spec.text("appId")
    spec.integer("minThreads", 1)
    spec.texts("queues")
    if "image" in spec:
        spec.text("image")
    _check_backend(spec.within("backend"))
    _check_environment(spec)
    template = spec.maybe_within("template")
    metadata, pod = template.maybe_within("metadata"), template.maybe_within("spec")
    metadata.maybe_within("labels").all_texts()
    metadata.maybe_within("annotations").all_texts()
    if "serviceAccountName" in pod:
        pod.text("serviceAccountName")
    for volume in pod.objects("volumes"):
        volume.text("name")
    for container in pod.objects("containers"):
        container.text("name")
        _check_environment(container)
        for mount in container.objects("volumeMounts"):
            mount.text("mountPath")
        for port in container.objects("ports"):
            port.integer("containerPort", 1)


def _check_backend(backend: Fields) -> None:
    kind = backend.the_one_of(_BACKENDS)
    how = backend.within(kind)
    if kind == "sqlite":
        how.text("claimName")
        how.text("path")
        return
    if kind == "rabbitmq":
        how.text("queuePrefix")
        _check_source(how.within("redis"))
    _check_source(how, besides=("queuePrefix", "redis") if kind == "rabbitmq" else ())


def _check_source(how: Fields, besides: tuple[str, ...] = ()) -> None:
    if how.the_one_of(("url", "urlFrom"), besides) == "url":
        how.text("url")
    else:
        secret = how.within("urlFrom").within("secretKeyRef")
        secret.text("name")
        secret.text("key")


def _check_environment(where: Fields) -> None:
    for variable in where.objects("env"):
        variable.text("name")
    for _ in where.objects("envFrom"):
        pass
