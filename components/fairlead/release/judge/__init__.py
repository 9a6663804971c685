"""Is the candidate good enough for more traffic? Decided by evidence that may be looked at as often as one likes.

**In:** settings that were fixed before the first look (:class:`JudgeConfig`); what was observed since the last look
(:class:`Look`: increments of real counters, over the same time for both arms, never a nominal share); what was known before
(:class:`States`); the time, as an argument (:class:`Clock`).

**Out:** a :class:`Verdict`: promote, hold, abort or no data, with reasons in words, every guard's evidence and a forecast.

::

    states = begin(config, stable="1a2b", candidate="3c4d")
    states = observe(config, states, look)          # the only place where evidence changes
    verdict = judge(config, states, clock)          # the only place where a verdict is formed

**Promised:** a candidate inside the margins is *ever* aborted with a chance of at most alpha; one at or beyond some margin all
along is *ever* promoted with at most beta; whatever the weights do, and however often one looks. Both rest on assumptions that
each guard states in its file; ``docs/judge.md`` has them in one table, and what was measured where they fail.

=====================================  ==========================================================================================
``margin``, ``bets``, ``evidence``     the statistics: the line, the factor of one look, the money (in this order)
``rates``                              two rates and a line, look by look: what most guards share
``errors``, ``latency``, ``slices``    guards on counted requests
``predictions``                        a guard on the distribution of answers
``shadow``                             guards on pairs: flips, and losses once labels are known
``labels``, ``value``                  guards on late labels, and on money
``traffic``, ``fixed``                 guards on the routed share, and on one arm after 100 %
``counters``, ``arrivals``             from readings and labels to windows
``windows``, ``guard``, ``arrays``     what is observed; what guards have in common; the type of states
``config``, ``configure``              settings; settings from the project file
``states``, ``judge``                  all guards together: one look, one verdict
``forecast``, ``report``               how long it will take; guards in words
=====================================  ==========================================================================================

The statistics work on arrays with leading axes, so a simulation of a thousand releases runs the code that decides one.

Nothing raises on bad data: NaN, more bad units than units, increments below zero give ``no_data`` and no evidence. Evidence is
about one stable version, one candidate and one set of settings; if any of them changes, it starts anew.

Does not belong here: a clock, I/O, randomness, traffic, Kubernetes, and any decision about what a verdict is turned into.
"""

from fairlead.release.judge.config import JudgeConfig, demo
from fairlead.release.judge.evidence import Evidence
from fairlead.release.judge.guard import GuardResult
from fairlead.release.judge.judge import Clock, Verdict, judge
from fairlead.release.judge.margin import Margin
from fairlead.release.judge.states import States, begin, observe, read, update
from fairlead.release.judge.windows import Look, Window

__all__ = [
    "Clock",
    "Evidence",
    "GuardResult",
    "JudgeConfig",
    "Look",
    "Margin",
    "States",
    "Verdict",
    "Window",
    "begin",
    "demo",
    "judge",
    "observe",
    "read",
    "update",
]
