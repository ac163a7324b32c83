"""docs/crd.md is what the definition and the operator's source say."""

from hack.generate_crd_reference import REFERENCE, generate


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text() == generate(), "run `python -m hack.generate_crd_reference` and commit the result"
