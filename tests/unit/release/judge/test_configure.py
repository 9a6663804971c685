"""The project file's section ``release`` becomes the judge's settings."""

import pytest

from fairlead.release.judge import JudgeConfig, Margin
from fairlead.release.judge.configure import Known, config_of
from fairlead.release.judge.labels import LabelsGuard
from fairlead.release.judge.shadow import PairedGuard
from fairlead.spec.project import Problem
from fairlead.spec.release import Release

MONEY = {"currency": "EUR", "correct": 1.0, "wrong": -2.0}
PROBLEM = Problem.model_validate({"statement": "s", "owner": "o", "value": MONEY})


def config(known=None, **release):
    return config_of(Release.model_validate(release), PROBLEM, known)


def test_the_defaults_of_file_and_judge_are_the_same():
    found, own = config(), JudgeConfig()
    names = ("errors", "latency", "quality", "value", "flips", "slices", "traffic", "steps", "alpha", "beta", "look", "soak",
             "min_step", "stale_after", "max_duration", "on_timeout", "profile")  # fmt: skip
    assert {name: getattr(found, name) for name in names} == {name: getattr(own, name) for name in names}


@pytest.mark.parametrize(
    ("release", "kind", "margin"),
    [
        ({"shadow": True}, PairedGuard, 0.005),
        ({"strategy": "shadow"}, PairedGuard, 0.005),
        ({}, LabelsGuard, Margin(1.0, 0.01)),
    ],
    ids=["shadow-too", "shadow-only", "canary"],
)
def test_quality_is_judged_on_pairs_where_there_are_pairs(release, kind, margin):
    found = config(guards={"quality": {"labels": {"maturity": "7d"}}}, **release).quality
    assert isinstance(found, kind)
    assert found.margin == margin


def test_flips_need_a_shadow():
    assert config(shadow=True).flips is not None
    assert config().flips is None


def test_money_has_its_currency_and_cap():
    found = config(
        shadow=True, guards={"value": {"margin": 0.1, "cap": 2.0, "labels": {"maturity": "7d"}}}
    ).value
    assert (found.name, found.margin, found.cap, found.unit) == ("value", 0.1, 2.0, "EUR")


def test_the_demo_profile_is_short_and_only_reports_latency():
    found = config(profile="demo")
    assert (found.profile, found.look, found.latency.action, found.latency.required) == (
        "demo",
        2.0,
        "report",
        False,
    )


def test_what_the_file_says_about_times_replaces_the_profile():
    found = config(profile="demo", look="5s", soak="20s", timeout="10m", guards={"latency": {"block": "10s"}})
    assert (found.look, found.soak, found.max_duration, found.latency.block) == (5.0, 20.0, 600.0, 10.0)


def test_the_bounds_after_the_release_follow_what_is_known_of_stable():
    found = config(Known(errors=0.01, slow=0.02))
    assert [(guard.name, round(guard.bound, 6)) for guard in found.after] == [
        ("errors", 0.025),
        ("latency", 0.0525),
    ]


def test_the_bounds_after_the_release_can_be_given():
    found = config(guards={"after": {"errors": 0.03, "slow": 0.05}})
    assert [guard.bound for guard in found.after] == [0.03, 0.05]


def test_a_guard_that_is_turned_off_is_not_there():
    found = config(guards={"latency": None, "predictions": None, "traffic": None})
    assert list(found.guards()) == ["errors"]


def test_any_change_of_settings_changes_the_evidences_key():
    digests = {config().digest, config(alpha=0.01).digest, config(guards={"errors": {"burst": 2}}).digest}
    assert len(digests) == 3


def test_blue_green_has_one_step():
    assert config(strategy="blue-green").steps == (50.0,)
