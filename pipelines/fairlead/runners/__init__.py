"""Ways to run a flow. All run the same compiled graph and give the same bundle.

``local``      KFP's own local orchestrator; each task is forked from a warm server (the default on a laptop)
``reference``  KFP's own local orchestrator and its own SubprocessRunner: a cold interpreter a task

Does not belong here: what a stage does, and what a person sees (that is the command line's).
"""
