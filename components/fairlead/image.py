"""The image that pipeline components run in."""

from importlib.metadata import version

PIPELINE_IMAGE = f"fairlead/pipeline:{version('fairlead')}"
"""Never ``latest``: a moving tag makes the pipeline backend's cache lie. ``fairlead compile --image`` overrides it."""
