"""How measured values spread, and in which order tries are made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.spread import interleaved, phases, power, quantile, spread


def test_a_median_lies_between_the_two_in_the_middle() -> None:
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5


def test_the_ends_are_values_that_were_measured() -> None:
    found = spread([0.3, 0.1, 0.2])
    assert found == {"n": 3, "min": 0.1, "p50": 0.2, "p90": 0.28, "p99": 0.298, "max": 0.3}


def test_a_single_value_is_all_of_its_spread() -> None:
    assert set(spread([7.0]).values()) == {1, 7.0}


def test_nothing_measured_has_no_spread() -> None:
    assert spread([]) == {"n": 0}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_lies_between_the_ends(values: list[float], share: float) -> None:
    assert min(values) - 1e-6 <= quantile(values, share) <= max(values) + 1e-6


def test_tries_of_each_are_spread_over_the_whole_run() -> None:
    order = interleaved({"ours": 4, "peer": 2})
    assert [name for name, _ in order] == ["ours", "peer", "ours", "ours", "peer", "ours"]
    assert [number for name, number in order if name == "ours"] == [0, 1, 2, 3]


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9)))
def test_no_try_is_left_out(counts: dict[str, int]) -> None:
    order = interleaved(counts)
    assert sorted(order) == sorted((name, number) for name, count in counts.items() for number in range(count))


def test_each_part_of_a_period_is_met_once() -> None:
    moments = phases(10, 30.0, seed=1)
    assert [int(moment // 3) for moment in sorted(moments)] == list(range(10))
    assert moments != sorted(moments)


def test_the_same_seed_is_the_same_run() -> None:
    assert phases(5, 1.0, seed=3) == phases(5, 1.0, seed=3) != phases(5, 1.0, seed=4)


SIZES = [10, 32, 100, 316, 1000]


@pytest.mark.parametrize("constant", [0.0, 90.0])
@pytest.mark.parametrize("of", [0.5, 1.0, 2.0])
def test_the_power_of_growth_is_found_over_what_is_always_there(of: float, constant: float) -> None:
    values = [constant + 170 * (size / 1000) ** of for size in SIZES]
    assert power(SIZES, values) == pytest.approx(of, abs=0.021)


@pytest.mark.parametrize("values", [[5.0] * 5, [5.0, 5.1, 4.9, 5.0, 5.1], [5.0, 4.0, 3.0, 2.0, 1.0]])
def test_what_does_not_grow_has_no_power(values: list[float]) -> None:
    assert power(SIZES, values) == 0.0


def test_a_few_in_a_hundred_of_noise_do_not_hide_a_straight_line() -> None:
    noise = [1.02, 0.98, 1.01, 0.99, 1.02]
    values = [(90 + size / 5) * each for size, each in zip(SIZES, noise, strict=True)]
    assert power(SIZES, values) == pytest.approx(1.0, abs=0.2)
