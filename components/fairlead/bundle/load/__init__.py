"""The load gate's arithmetic: how many requests a second one pod answers in time, and what follows from it.

Open loop: requests are sent at times that were fixed beforehand, whether or not earlier ones were answered, as callers
do who do not know of each other. A closed loop would send less to a server that has become slow, and never see its queue.

``arrivals``
    when requests are due;
``latencies``
    how long they took from then on, with quantiles and their intervals;
``search``
    which rate to try next, and when the highest that keeps the objective is known;
``capacity``
    what follows for replicas, requests and limits, autoscaling and cost;
``memory``
    whether memory grows;
``measure``
    joins them with a server and a generator, which :mod:`fairlead.adapters.load` has;
``gate``
    the same as the bundle stage runs it.
"""
