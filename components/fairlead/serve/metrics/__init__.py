"""Counters and histograms of a pod, exact over workers and their crashes, in the formats of Prometheus.

``registry`` is what the application counts with; ``counters`` the storage; ``workers`` sums over processes;
``predictions`` the histogram of answers; ``exposition`` the text.
"""
