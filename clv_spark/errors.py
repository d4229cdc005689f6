"""Every error this package raises on purpose, each with the exit code a scheduler sees.

A message says what was found, what was expected and what to do. It never holds a customer id or a
secret, since messages end in logs and in ``pipeline_runs``.
"""

from __future__ import annotations

import re

# What a key, or a name in front of "=", says about its value.
SECRET_NAME = (
    r"(?:secret|password|passwd|pwd|passphrase|token|credential|\bsas\b"
    r"|(?:account|access|private|shared|api|encryption)[._-]?key)"
)
_LOGIN = re.compile(r"://[^/@\s]*:[^/\s]*@")
_GIVEN = re.compile(rf"""({SECRET_NAME}[\w.]*=)("[^"]*"|'[^']*'|[^&\s"']+)""", re.I)


def without_secrets(text: str) -> str:
    """The text without logins in addresses and without what is given as a secret.

    Example:
        >>> without_secrets("jdbc:pg://u:hunter2@h/db, -Dpassword=hunter2")
        'jdbc:pg://***@h/db, -Dpassword=***'
    """
    return _GIVEN.sub(r"\1***", _LOGIN.sub("://***@", text))


class ClvError(Exception):
    """Base of all errors raised on purpose by this package; the exit code is 1."""

    exit_code = 1
    #: The run that failed, as it stands in ``pipeline_runs``; None before a run has begun.
    run_id: str | None = None

    def __str__(self) -> str:
        """The message; an address that it quotes may hold a login."""
        return without_secrets(super().__str__())


class ConfigError(ClvError):
    """The command line or the configuration is wrong: nothing was started."""

    exit_code = 2


class GateError(ClvError):
    """A quality gate failed: nothing was published."""

    exit_code = 10


class InputError(ClvError):
    """The input is missing, empty, unreadable or of the wrong shape: every table is as it was."""

    exit_code = 11


class ConflictError(ClvError):
    """Another writer changed the same slice and the retries are used up."""

    exit_code = 20


class LockedError(ClvError):
    """Another run works on this lake right now."""

    exit_code = 21


class FitError(ClvError):
    """Too many customers live in segments whose model could not be fitted."""

    exit_code = 30
