"""Statistics on plain arrays: profiles that merge, metrics, value in money, intervals, curves.

In: numpy arrays. Out: numbers and frozen records. What is random takes a seed.

Does not belong here: pandas, scikit-learn, files, and knowing which stage asks. numpy only.
"""
