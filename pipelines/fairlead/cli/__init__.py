"""Verbs for people. Each verb is a thin layer over the functions that runners and adapters offer.

A verb's module imports nothing heavy at its top, so that ``fairlead --help`` answers in under 0.3 s.
"""
