"""What a page of metrics says."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest

from benchmarks import scrape


class Page:
    """Something that is observed and shown."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.waited = Histogram("waited_seconds", "", ["cause"], buckets=(0.1, 0.5, 1.0), registry=self._registry)
        self.looks = Counter("looks", "", ["result"], registry=self._registry)

    def text(self) -> str:
        return generate_latest(self._registry).decode()


def test_a_quantile_is_of_what_came_between_two_pages() -> None:
    page = Page()
    for _ in range(100):
        page.waited.labels("event").observe(5.0)
    before = scrape.buckets(page.text(), "waited_seconds", cause="event")
    for seconds in (0.05, 0.2, 0.3, 0.4):
        page.waited.labels("event").observe(seconds)
    page.waited.labels("interval").observe(5.0)
    after = scrape.buckets(page.text(), "waited_seconds", cause="event")
    assert scrape.quantile(before, after, 0.25) == pytest.approx(0.1)
    assert scrape.quantile(before, after, 0.625) == pytest.approx(0.3)  # half of what is between 0.1 and 0.5
    assert scrape.quantile(before, after, 1.0) == pytest.approx(0.5)


def test_what_is_above_all_bounds_is_said_to_be_the_highest() -> None:
    page = Page()
    page.waited.labels("event").observe(50.0)
    assert scrape.quantile({}, scrape.buckets(page.text(), "waited_seconds"), 0.99) == 1.0


def test_nothing_observed_has_no_quantile() -> None:
    page = Page()
    page.waited.labels("event")
    found = scrape.buckets(page.text(), "waited_seconds", cause="event")
    assert scrape.quantile(found, found, 0.99) is None
    assert scrape.quantile({}, {}, 0.99) is None


def test_a_sum_is_of_the_series_with_the_labels() -> None:
    page = Page()
    page.looks.labels("success").inc(3)
    page.looks.labels("error").inc()
    assert scrape.total(page.text(), "looks_total") == 4
    assert scrape.total(page.text(), "looks_total", result="error") == 1
    assert scrape.total(page.text(), "looks") == 0
