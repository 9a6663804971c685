"""Evidence: money that is divided, never made."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairlead.release.judge.evidence import Evidence

looks = st.lists(st.booleans(), min_size=1, max_size=20)


@given(looks, st.sampled_from([0.0, 0.2, 0.9]), st.integers(1, 8))
def test_bets_that_win_nothing_leave_the_money_as_it_was(seen, reserve, alternatives):
    evidence = Evidence.fresh(alternatives)
    for has_evidence in seen:
        evidence = evidence.after(np.zeros(alternatives), reserve, has_evidence)
    assert abs(float(evidence.log)) < 1e-12


@given(st.floats(-5, 5), st.sampled_from([0.0, 0.2]))
def test_a_look_without_evidence_changes_nothing(log_e, reserve):
    before = Evidence.fresh(3).after(np.full(3, log_e), reserve)
    after = before.after(np.full(3, 9.0), reserve, where=False)
    assert after.log_w.tolist() == before.log_w.tolist()
    assert (float(after.cash), float(after.looks)) == (float(before.cash), float(before.looks))


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.lists(st.floats(0, 3), min_size=3, max_size=3))
def test_larger_factors_give_no_less_evidence(log_e, more):
    before = Evidence.fresh(3).after(np.zeros(3), 0.2)
    less, greater = before.after(np.array(log_e), 0.2), before.after(np.array(log_e) + np.array(more), 0.2)
    assert greater.log >= less.log


def test_the_reserve_is_handed_out_slowly():
    evidence, cash = Evidence.fresh(8), []
    for _ in range(3):
        evidence = evidence.after(np.zeros(8), 0.2)
        cash.append(round(float(evidence.cash), 6))
    assert cash == [0.1, 0.066667, 0.05]


def test_without_a_reserve_all_money_is_bet_at_the_first_look():
    assert float(Evidence.fresh(7).after(np.zeros(7), 0.0).cash) == 0.0


def test_very_strong_evidence_stays_finite():
    evidence = Evidence.fresh(2)
    for _ in range(100):
        evidence = evidence.after(np.array([1e6, -1e6]), 0.2)
    assert np.isfinite(evidence.log)
