"""docs/metrics.md is what the code says."""

from hack.generate_metrics_reference import REFERENCE, generate


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text() == generate(), "run `make metrics-reference` and commit the result"
