"""The rules for ``max_drop`` on many simulated models, and the tests that they stand on."""

from __future__ import annotations

from fractions import Fraction
from math import comb, exp, lgamma, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.verdict.criteria import Limits, judge_score
from pytest_quantcheck.verdict.metrics.bootstrap import DRAWS, FEWEST, paired_drops
from pytest_quantcheck.verdict.metrics.margin import p_value
from pytest_quantcheck.verdict.metrics.metric import Metric
from pytest_quantcheck.verdict.metrics.paired import Paired
from pytest_quantcheck.verdict.metrics.registry import METRICS
from pytest_quantcheck.verdict.score import Score
from tests.bench import statistics
from tests.bench.statistics import FAIL, FEW, PASS, PLAIN, SURE, judge, rates, simulate, verdict

pytestmark = pytest.mark.host


@pytest.mark.parametrize("share", [0.035, 0.05])
def test_two_points_beyond_the_margin_are_caught(share) -> None:
    found = rates(share, 0.03, SURE)
    assert found.passed < 1e-6
    assert found.failed >= 0.95


def test_of_more_flips_the_verdict_is_that_there_are_too_few_vectors() -> None:
    found = rates(0.12, 0.03, SURE)
    assert found.passed < 0.0001
    assert found.failed == pytest.approx(0.61, abs=0.01)


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_false_alarms_at_the_margin_are_at_most_one_in_a_hundred(share) -> None:
    """At the margin they are most frequent. Probabilities, not estimates: nothing is added for noise."""
    found = rates(share, 0.01, SURE)
    assert 0.008 < found.failed <= 0.01
    assert 0.04 < found.passed <= 0.05


def test_within_the_margin_a_pass_is_frequent_and_an_alarm_never_seen() -> None:
    found = rates(0.03, 0.0, SURE)
    assert found.failed < 1e-4
    assert found.passed > 0.75


@pytest.mark.parametrize(("drop", "low", "high"), [(-0.01, 0, 1e-4), (0.01, 0.42, 0.5), (0.03, 0.999, 1)])
def test_by_default_the_observed_drop_decides_and_chance_with_it(drop, low, high) -> None:
    for found in (rates(0.05, drop, PLAIN), simulate(0.05, drop, PLAIN)):
        assert abs(found.few) < 1e-7
        assert low <= found.failed <= high


@pytest.mark.parametrize("drop", [0.01, 0.03])
def test_simulated_verdicts_are_as_frequent_as_the_sums_say(drop) -> None:
    summed, drawn = rates(0.05, drop, SURE), simulate(0.05, drop, SURE)
    for chance, share in zip(vars(summed).values(), vars(drawn).values(), strict=True):
        assert abs(share - chance) <= 4 * (chance * (1 - chance) / statistics.DRAWS) ** 0.5 + 1e-6


@given(st.integers(1, 2000), st.data())
def test_by_default_the_limit_itself_passes(samples, data) -> None:
    lost = data.draw(st.integers(0, samples))
    gained = data.draw(st.integers(0, samples - lost))
    allowed = data.draw(st.integers(0, samples - 1))
    found = verdict(Limits(max_drop=allowed / samples), samples, lost, gained)
    assert found == (PASS if lost - gained <= allowed else FAIL)


@pytest.mark.parametrize(("samples", "margin"), [(8, 0.0), (12, 0.1), (20, 0.05)])
def test_the_test_against_the_margin_never_errs_more_often_than_it_says(samples, margin) -> None:
    """All outcomes, for many shares of flips; at the margin errors are most frequent."""
    outcomes = [(b, c) for b in range(samples + 1) for c in range(samples + 1 - b)]
    above = np.array([Paired(samples, *each).p_above(margin) for each in outcomes])
    below = np.array([Paired(samples, *each).p_below(margin) for each in outcomes])
    for share in np.linspace(margin, 1, 103)[1:-1]:
        chance = np.array([probability(samples, b, c, share, margin) for b, c in outcomes])
        assert chance.sum() == pytest.approx(1)
        for level in (0.01, 0.05, 0.2):
            assert chance[above <= level].sum() <= level
            assert chance[below <= level].sum() <= level


def probability(samples: int, lost: int, gained: int, share: float, drop: float) -> float:
    p, q, rest = (share + drop) / 2, (share - drop) / 2, samples - lost - gained
    ways = lgamma(samples + 1) - lgamma(lost + 1) - lgamma(gained + 1) - lgamma(rest + 1)
    return exp(ways + lost * log(p) + gained * log(q) + rest * log(1 - share))


@settings(max_examples=25)
@given(st.integers(1, 300), st.floats(0, 0.3), st.data())
def test_one_more_lost_sample_never_makes_the_evidence_weaker(samples, margin, data) -> None:
    gained = data.draw(st.integers(0, samples - 1))
    lost = data.draw(st.integers(0, samples - gained - 1))
    here, more = Paired(samples, lost, gained), Paired(samples, lost + 1, gained)
    grid = 2e-3  # of the shares of flips that are searched
    assert more.p_above(margin) <= here.p_above(margin) + grid
    assert more.p_below(margin) >= here.p_below(margin) - grid


@pytest.mark.parametrize("flips", [(0, 0), (3, 1), (10, 2), (40, 20)])
def test_against_no_margin_it_is_close_to_mcnemars_one_sided_test(flips) -> None:
    lost, gained = flips
    tail = sum(Fraction(comb(lost + gained, k), 2 ** (lost + gained)) for k in range(gained + 1))
    found = p_value(2000, lost, gained, 0.0)
    assert found <= float(tail) + 1e-3, "the conditional test is the more careful one"
    assert found >= 0.3 * float(tail)


@pytest.mark.parametrize(("margin", "p"), [(1.5, 1.0), (-1.5, 1e-4)])
def test_no_drop_is_beyond_one(margin, p) -> None:
    assert p_value(10, 3, 1, margin) == p


@pytest.mark.parametrize(
    ("lost", "gained", "expected", "words"),
    [
        (10, 8, PASS, "for a true drop of the limit or more"),
        (100, 20, FAIL, "for a true drop of the limit or less"),
        (40, 15, FEW, "give more vectors or a larger limit"),
    ],
)
def test_the_three_verdicts_say_what_they_are(lost, gained, expected, words) -> None:
    assert verdict(SURE, 2000, lost, gained) == expected
    criterion = judge(SURE, 2000, lost, gained)
    assert words in criterion.text
    assert criterion.passed is (expected == PASS)
    assert criterion.text.startswith("too few vectors (2000)") is (expected == FEW)
    assert "95 % sure that it is no more, 99 % that it is no less" in criterion.text


def scores_of(drop: float, size: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anomaly scores of two models, the second worse by so much noise, and labels."""
    generator = np.random.default_rng(seed)
    labels = np.arange(size) % 2
    first = labels + generator.normal(0, 0.8, size)
    return first, first + generator.normal(0, drop, size), labels


def test_the_bootstrap_is_the_same_every_time_and_pairs_the_models() -> None:
    first, second, labels = scores_of(0.3, 200)
    metric = METRICS["roc_auc"]
    drops = paired_drops(metric, first, second, labels)
    again = paired_drops(metric, first, second, labels)
    assert drops.values.tolist() == again.values.tolist()
    assert len(drops.values) == DRAWS
    assert drops.enough
    observed = metric.score(first, labels) - metric.score(second, labels)
    assert drops.lowest(0.975) < observed < drops.highest(0.975)
    assert not paired_drops(metric, first, first, labels).values.any()


@pytest.mark.parametrize("name", ["roc_auc", "balanced_accuracy"])
def test_resampling_by_counts_is_resampling_by_copies(name) -> None:
    first, second, labels = scores_of(0.3, 60)
    metric = METRICS[name]
    plain = Metric(name, metric.score)
    outputs = first[:, np.newaxis], second[:, np.newaxis]
    counted, copied = (paired_drops(each, *outputs, labels) for each in (metric, plain))
    np.testing.assert_allclose(counted.values, copied.values, rtol=0, atol=1e-12)


def test_the_drop_of_an_error_is_its_growth() -> None:
    truth = np.linspace(0, 1, 100)[:, np.newaxis]
    drops = paired_drops(METRICS["rmse"], truth + 0.1, truth + 0.3, truth)
    assert drops.values == pytest.approx(0.2)
    assert drops.p_above(0.1) == pytest.approx(1 / (DRAWS + 1))
    assert drops.p_below(0.1) == 1


def test_clusters_are_drawn_as_a_whole() -> None:
    """40 clips of 10 equal patches scatter as 40 samples do, not as 400."""
    right = np.arange(40) % 4 > 0
    first, second = np.ones((40, 1)), right[:, np.newaxis].astype(float)
    metric = METRICS["patch_accuracy"]
    clips = np.repeat(np.arange(40), 10)
    patches = [np.repeat(each, 10, axis=0) for each in (first, second, np.ones(40, int))]
    together, alone = paired_drops(metric, *patches, clips), paired_drops(metric, *patches)
    assert together.observations == 40
    as_samples = paired_drops(metric, first, second, np.ones(40, int))
    assert together.values.std() == pytest.approx(as_samples.values.std())
    assert alone.values.std() < together.values.std() / 2


@pytest.mark.parametrize(
    ("size", "noise", "limit", "expected"),
    [
        (400, 0.05, 0.05, PASS),
        (400, 5.0, 0.05, FAIL),
        (60, 0.6, 0.05, FEW),
        (FEWEST - 1, 0.05, 0.05, FEW),
    ],
)
def test_a_bootstrap_decides_for_what_is_not_right_or_wrong(size, noise, limit, expected) -> None:
    first, second, labels = scores_of(noise, size)
    metric = METRICS["roc_auc"]
    score = Score(
        metric,
        size,
        metric.score(second, labels),
        metric.score(first, labels),
        drops=lambda: paired_drops(metric, first, second, labels),
    )
    (criterion,) = judge_score(score, Limits(max_drop=limit, confidence=0.95))
    assert criterion.passed is (expected == PASS)
    assert criterion.text.startswith(f"too few vectors ({size})") is (expected == FEW)


def test_draws_without_a_value_make_too_few() -> None:
    labels = np.zeros(40, int)
    labels[0] = 1
    drops = paired_drops(METRICS["roc_auc"], np.arange(40.0), np.arange(40.0), labels)
    assert 0 < len(drops.values) < DRAWS
    assert not drops.enough


def test_the_interval_is_one_sided_where_the_rule_is() -> None:
    pair = Paired(2000, 60, 20)
    assert pair.interval(0.9) == (pair.lowest(0.95), pair.highest(0.95))
    assert pair.highest(0.5) == pytest.approx(pair.drop, abs=1e-6)
    with pytest.raises(UsageError, match="confidence=1 is out of range"):
        pair.interval(1)
