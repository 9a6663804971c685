"""The graphs: which stage follows which, as KFP pipelines. Each compiles to the YAML file beside it.

Does not belong here: what a stage does, and how a graph is run.
"""
