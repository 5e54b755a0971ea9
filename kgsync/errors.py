"""Every error that kgsync raises on purpose, with its exit code.

A message names the thing, the place and the next step, in one line. Whether trying again can help
is a class (`TransientError`), not a word in the text. Exit codes follow sysexits.h where it has one.
"""

from __future__ import annotations


class KgsyncError(Exception):
    """Base of all: `what` went wrong and where; `fix` is the next step, as an imperative."""

    exit_code = 70

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        one_line = " ".join(self.what.split())
        return f"{one_line}; {' '.join(self.fix.split())}" if self.fix else one_line


class FindingsError(KgsyncError):
    """The work is done, and something in the result needs a person (unmatched edges, failed checks)."""

    exit_code = 3


class DataError(KgsyncError):
    """The input is wrong: a corrupt file, a plan of another database, a graph too small to learn from."""

    exit_code = 65


class NotFoundError(KgsyncError):
    """A file, run, snapshot, model, label, relation or entity that was named does not exist."""

    exit_code = 66


class UnavailableError(KgsyncError):
    """A server or network that is needed does not answer."""

    exit_code = 69


class StorageError(KgsyncError):
    """The disk is full or a file cannot be written."""

    exit_code = 74


class TransientError(KgsyncError):
    """Nothing is wrong that time will not mend: the lock is held, the server restarts. Try again."""

    exit_code = 75


class AccessError(KgsyncError):
    """Wrong credentials, or a user without the privilege that the step needs."""

    exit_code = 77


class SpentError(KgsyncError):
    """The next request to a language model could pass the ceiling that was set."""

    exit_code = 78


class ConfigError(KgsyncError):
    """`kgsync.toml`, the environment or a flag says something that cannot be meant."""

    exit_code = 78
