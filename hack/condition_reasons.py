"""What the operator can say in a runner's conditions, read from its source: for the reference and for tests.

A reason stands where it is decided on: in the tuples and `Problem`s of conditions.py, in a `Problem` of
another module, or in an enumeration. One that this can't place is an error: then it needs a line here.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pynenc_operator import conditions
from pynenc_operator.backends import BrokerError, BrokerErrorKind

SOURCES: Final = Path(conditions.__file__).parent
OPEN: Final = "…"  # in a message: what is filled in when it is said
_MADE_OF_TEXT: Final = frozenset({"Problem", "Trouble"})

# Where a problem that is found outside of conditions.py is told; of these the reason alone does not say it.
_TOLD_IN: Final = {
    "CredentialsMissing": conditions.BROKER_REACHABLE,
    "Rejected": conditions.TEMPLATE_VALID,
    "ForeignPod": conditions.NAME_TAKEN,
    "SameQueue": conditions.QUEUE_SHARED,
    "SameQueuePrefix": conditions.QUEUE_SHARED,
}
_BAD_STATUS: Final = {
    conditions.BROKER_REACHABLE: "False",
    conditions.TEMPLATE_VALID: "False",
    conditions.PROGRESSING: "False",
}


@dataclass(frozen=True, slots=True)
class Saying:
    """One thing that a condition can say; `message` empty: the cause's own words."""

    condition: str
    status: str
    reason: str
    message: str


class UnplacedReasonError(Exception):
    """The source has a reason of which this does not know the condition."""


def sayings() -> list[Saying]:
    """All of them, by condition in the order in which conditions.py names these."""
    found = [*_of_conditions(), *_of_other_modules(), *_of_enumerations()]
    named = list(vars(conditions).values())
    return sorted(dict.fromkeys(found), key=lambda saying: named.index(saying.condition))


def _of_enumerations() -> Iterator[Saying]:
    for kind in BrokerErrorKind:
        yield Saying(conditions.BROKER_REACHABLE, "False", str(kind), str(BrokerError(kind, OPEN)))
    for reason, message in conditions._LIMITS.items():  # noqa: SLF001 - the one place where they stand
        yield Saying(conditions.SCALING_LIMITED, "True", str(reason), message)


def _of_conditions() -> Iterator[Saying]:
    tree = _parsed(SOURCES / "conditions.py")
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for kind, name in _computed_by(functions["compute"]):
        function = functions[name]
        known = _constants(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                texts = [_text(part, known) for part in node.value.elts]
                if texts[1] is not None:
                    yield Saying(kind, texts[0] or "", texts[1], texts[2] or "")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MADE_OF_TEXT:
                reason, message = (_text(part, known) for part in node.args[:2])
                yield Saying(kind, _BAD_STATUS.get(kind, "True"), reason or "", message or "")


def _computed_by(compute: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """(condition, function that says what it says), from `(READY, *_ready(report))` and the like."""
    for node in ast.walk(compute):
        pairs: list[tuple[ast.expr | None, ast.expr]] = []
        if isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.elts[1], ast.Starred):
            pairs = [(node.elts[0], node.elts[1].value)]
        elif isinstance(node, ast.Dict):
            pairs = list(zip(node.keys, node.values, strict=True))
        for kind, call in pairs:
            if isinstance(kind, ast.Name) and isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                yield getattr(conditions, kind.id), call.func.id


def _of_other_modules() -> Iterator[Saying]:
    for path in sorted(SOURCES.glob("*.py")):
        if path.name == "conditions.py":
            continue
        for node in ast.walk(_parsed(path)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem"):
                continue
            reason, message = (_text(part, {}) for part in node.args)
            if reason is None:
                continue  # a BrokerErrorKind's
            if reason not in _TOLD_IN:
                where = f"{path.name}:{node.lineno}"
                raise UnplacedReasonError(f"{where}: Problem({reason!r}): add it to {__name__}._TOLD_IN")
            kind = _TOLD_IN[reason]
            yield Saying(kind, _BAD_STATUS.get(kind, "True"), reason, message or "")


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), path.name)


def _constants(function: ast.FunctionDef) -> dict[str, str]:
    """Texts that a function gives names to."""
    return {
        node.targets[0].id: node.value.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def _text(node: ast.expr, known: dict[str, str]) -> str | None:
    """A text as it stands in the source, with OPEN for what is not known there; None for none at all."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, known) or OPEN for part in node.values)
    if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name):
        return known.get(node.value.id)
    return None
