"""Labels, annotations and object names that chart and driver share."""

from __future__ import annotations

PREFIX = "fairlead.dev/"
MODEL = PREFIX + "model"
"""Label on every object of a served model."""
SLOT = PREFIX + "slot"
"""Label on the pods and Deployment of a slot: blue or green."""
ROLE = PREFIX + "role"
"""Label that tells a model's ConfigMaps apart: policy or journal."""
REVISION = PREFIX + "revision"
"""Annotation: what makes a pod template this one and no other."""
BUNDLE = PREFIX + "bundle"
"""Annotation: digest of the bundle the template serves."""
PROBE = PREFIX + "probe"
"""Annotation: JSON ``{"rows": [...]}``, rows any revision of the model can score."""
STAMPED = (REVISION, BUNDLE, PROBE)
"""What a slot's Deployment says about its revision."""
RETRY = PREFIX + "retry"
"""Annotation on the policy: a new value asks for a failed revision to be tried again."""
COMMAND = PREFIX + "command"
"""Annotation on the policy: JSON ``{"id", "verb", "who", "why", "guard"}``, what a person tells the driver."""
TERM = PREFIX + "term"
"""Annotation: the leadership under which the object may be written. See :func:`fairlead.release.drive.fence`."""

MANAGER = "fairlead-driver"
"""Field manager of everything the driver writes."""

SLOTS = ("blue", "green")


def other(slot: str) -> str:
    """The slot that is not *slot*.

    >>> other("blue"), other("green")
    ('green', 'blue')
    """
    return SLOTS[1 - SLOTS.index(slot)]


def slot_name(model: str, slot: str) -> str:
    """Name of the slot's Deployment, Service and autoscaler."""
    return f"{model}-{slot}"


def journal_name(model: str) -> str:
    """Name of the ConfigMap that holds the journal."""
    return f"{model}-release"
