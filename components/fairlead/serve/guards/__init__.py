"""What stands between a connection and a handler, so that nobody can ask too much or what is not theirs.

==============  ==========================================================================================
``wire``        what a connection may send, and for how long
``access``      who may ask, and how often
``browser``     what pages of other sites may
``admission``   how much work is taken on; ``aside`` for what is rare and costly
``depth``       how deep JSON is nested
``watchdog``    ends a process that hangs or swells
``guards``      those that the application asks, as they are set
==============  ==========================================================================================
"""
