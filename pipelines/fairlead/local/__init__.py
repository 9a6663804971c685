"""Releases on a laptop, by the driver that runs in a cluster.

``slots``      what a cluster's controllers do for Deployments and routes, for processes on this machine
``serving``    the router, the slots and the driver together, for as long as ``fairlead serve --releases`` runs

What is written down stands in ``.fairlead/serving``: the objects of the model (:mod:`fairlead.adapters.local_objects`), the
looks of each release, logs.
"""
