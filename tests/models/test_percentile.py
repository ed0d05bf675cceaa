"""The percentile against a sorted list of all earlier scores."""

from __future__ import annotations

from bisect import bisect_left, insort
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.models.percentile import TOTAL_MAX, Percentile, PercentileState, percentile_from
from correlator.models.state import StateFormatError


def test_it_agrees_with_a_sorted_list() -> None:
    random, percentile = Random(1), Percentile()
    ordered: list[float] = []
    for _ in range(5_000):
        score = 1 - random.paretovariate(1.5) ** -1.0 * random.random()
        if len(ordered) > 500:
            exact = bisect_left(ordered, score) / len(ordered)
            assert percentile.rank(score) <= exact + 1e-12
            assert percentile.rank(score) == pytest.approx(exact, abs=0.03)
        percentile.remember(score)
        insort(ordered, score)


def test_the_tail_stays_exact_when_old_scores_fade() -> None:
    random, percentile = Random(2), Percentile()
    for _ in range(3 * TOTAL_MAX):
        percentile.remember(random.random())
    for score in (0.5, 0.9, 0.99, 0.995, 0.999):
        assert percentile.rank(score) == pytest.approx(score, abs=0.02)
        assert 1 - percentile.rank(score) == pytest.approx(1 - score, rel=0.35)


def test_new_scores_outweigh_old_ones_in_time() -> None:
    percentile = Percentile()
    for score in [0.9] * TOTAL_MAX + [0.1] * 4 * TOTAL_MAX:
        percentile.remember(score)
    assert percentile.rank(0.5) > 0.9


def test_what_is_common_never_ranks_high() -> None:
    percentile = Percentile()
    for i in range(1_000):
        percentile.remember(0.999 if i % 20 == 0 else 0.5)
    assert percentile.rank(0.999) == pytest.approx(0.95)
    assert percentile.rank(1.0) == 1.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_score_never_ranks_lower(earlier: list[float], one: float, other: float) -> None:
    percentile = Percentile()
    for score in earlier:
        percentile.remember(score)
    low, high = sorted((one, other))
    assert 0.0 <= percentile.rank(low) <= percentile.rank(high) <= 1.0


@pytest.mark.parametrize("counts", [((9_999, 1),), ((-1, 1),), ((3, -1),)])
def test_a_state_with_impossible_bins_is_refused(counts: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(StateFormatError, match="bin"):
        percentile_from(PercentileState(counts))
