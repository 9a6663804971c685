"""What a person may tell the driver about a release under way."""

from __future__ import annotations

from fairlead.release.journal import Shift
from fairlead.release.observed import Command

VERBS = ("pause", "resume", "promote", "abort", "acknowledge")
"""``promote`` goes one step on without the judge's proof; ``acknowledge`` accepts what a guard holds the release for."""


def obey(shift: Shift, command: Command) -> Shift:
    """*shift* as the person wants it; the same where the verb is not about it.

    >>> shift = Shift(steps=(5.0,), since=0.0)
    >>> obey(shift, Command("1", "pause", "eve", "lunch")).paused
    'pause by eve: lunch'
    >>> obey(shift, Command("2", "acknowledge", "eve", "meant so", "predictions")).acknowledged
    ('predictions',)
    """
    if command.verb == "pause":
        return shift.model_copy(update={"paused": command.said()})
    if command.verb == "resume":
        return shift.model_copy(update={"paused": ""})
    if command.verb == "acknowledge" and command.guard and command.guard not in shift.acknowledged:
        return shift.model_copy(update={"acknowledged": (*shift.acknowledged, command.guard), "said": None})
    return shift
