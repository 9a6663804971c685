"""How the tool ends when it cannot do what it was asked."""

from __future__ import annotations


class Failure(Exception):
    """Something went wrong; the message is all a person needs to see."""

    exit_code = 1


class Unavailable(Failure):
    """No cluster can be had on this machine. Not an error of the project: tests are skipped, with this reason."""

    exit_code = 77  # the code by which automake and others know a skipped test
