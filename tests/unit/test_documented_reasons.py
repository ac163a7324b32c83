"""Whatever the operator gives as a reason, a person finds explained."""

import re
from collections import Counter
from pathlib import Path

import pytest

from hack import condition_reasons
from hack.condition_reasons import Saying, UnplacedReasonError, sayings
from pynenc_operator import conditions
from pynenc_operator.backends import BrokerErrorKind
from pynenc_operator.reason import Reason

DOCS = Path(__file__).parents[2] / "docs"
TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text()
SCALING = (DOCS / "scaling.md").read_text()
TYPES = {value for name, value in vars(conditions).items() if name.isupper() and isinstance(value, str)}


def is_told(word: str, *pages: str) -> bool:
    return any(re.search(rf"`[^`\n]*\b{word}\b[^`\n]*`", page) for page in pages)


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_of_a_decision_is_told(reason: Reason) -> None:
    assert is_told(reason, TROUBLESHOOTING, SCALING)


@pytest.mark.parametrize("saying", sayings(), ids=lambda it: f"{it.condition}-{it.reason}")
def test_each_condition_has_its_place_in_troubleshooting(saying: Saying) -> None:
    assert is_told(saying.condition, TROUBLESHOOTING)
    assert is_told(saying.reason, TROUBLESHOOTING)


def test_the_reading_of_the_source_misses_no_condition_and_no_text_in_it() -> None:
    found = sayings()
    assert {saying.condition for saying in found} == TYPES
    assert {str(kind) for kind in BrokerErrorKind} < {it.reason for it in found if it.condition == "BrokerReachable"}
    source = Path(conditions.__file__).read_text()
    written = set(re.findall(r'"(?:True|False|Unknown)",\s*"([A-Z]\w+)"|(?:Problem|Trouble)\(\s*"([A-Z]\w+)"', source))
    assert {one or other for one, other in written} <= {saying.reason for saying in found}
    assert Counter((it.condition, it.reason) for it in found).most_common(1)[0][1] == 1


def test_a_reason_of_which_the_condition_is_not_known_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conditions.py").write_text(Path(conditions.__file__).read_text())
    (tmp_path / "other.py").write_text('found = Problem("NeverSeen", "words")\n')
    monkeypatch.setattr(condition_reasons, "SOURCES", tmp_path)
    with pytest.raises(UnplacedReasonError, match=r"other\.py:1: .*NeverSeen"):
        sayings()
