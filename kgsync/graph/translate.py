"""Turns what the driver raises into kgsync's errors: what happened, where, and the next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from neo4j import exceptions as driver_errors

from kgsync.errors import (
    AccessError,
    DataError,
    KgsyncError,
    NotFoundError,
    TransientError,
    UnavailableError,
)

GRANT = "let an administrator run `GRANT ROLE architect TO user`; `reader` suffices where nothing is written"


@contextmanager
def translating(uri: str) -> Iterator[None]:
    """Raise the driver's errors as kgsync's; whatever else goes wrong passes as it is."""
    try:
        yield
    except KgsyncError:
        raise
    except driver_errors.ClientError as error:
        raise _of_client_error(uri, error) from error
    except driver_errors.IncompleteCommit as error:
        raise TransientError(f"the connection to {uri} was lost during a commit", fix="run it again") from error
    except driver_errors.ConfigurationError as error:
        raise _of_configuration(uri, error) from error
    except driver_errors.ServiceUnavailable as error:
        raise _unreachable(uri, error) from error
    except (driver_errors.SessionExpired, driver_errors.TransientError) as error:
        raise TransientError(f"{uri} failed for the moment: {_first_line(error)}", fix="run it again") from error
    except (driver_errors.Neo4jError, driver_errors.DriverError) as error:
        if "ConstraintCreationFailed" in (
            getattr(error, "code", None) or ""
        ):  # a DatabaseError, though the data is wrong
            raise DataError(
                f"{uri} cannot make a constraint: {' '.join(str(error).split())[:400]}",
                fix="mend the data and try again",
            ) from error
        raise UnavailableError(f"{uri}: {_first_line(error)}", fix="see `kgsync doctor`") from error
    except (OSError, ValueError) as error:  # the driver raises some of its network errors as these
        if isinstance(error, ConnectionError | TimeoutError) or "resolve address" in str(error):
            raise _unreachable(uri, error) from error
        raise


def _of_client_error(uri: str, error: driver_errors.ClientError) -> KgsyncError:
    """Return what a refusal by the server means; its class is too coarse, so the code decides."""
    kind = (error.code or "").rsplit(".", 1)[-1]
    if kind == "AuthenticationRateLimit":
        return AccessError(f"{uri} saw too many wrong passwords", fix="wait a while, then use the right one")
    if kind == "CredentialsExpired":
        return AccessError(f"the password for {uri} must be changed first", fix="change it, for example in Browser")
    if isinstance(error, driver_errors.AuthError):
        return AccessError(f"{uri} refused the user name or password", fix="check NEO4J_USERNAME and NEO4J_PASSWORD")
    if isinstance(error, driver_errors.Forbidden):
        return AccessError(
            f"{uri} does not allow this user to do that: {error.message}",
            fix=f"use another user, or {GRANT}",
        )
    if kind == "DatabaseNotFound":
        return NotFoundError(f"{uri}: {error.message}", fix="check NEO4J_DATABASE or --database")
    if kind in ("AccessMode", "WriteOnReadOnlyAccessDatabase"):
        return AccessError(
            f"{uri} does not allow this: {error.message}", fix="use a user who may write, or leave out that step"
        )
    if kind.startswith("TransactionTimedOut") or kind == "LockClientStopped":
        return TransientError(f"{uri} gave up waiting: {error.message}", fix="run it again")
    return DataError(f"{uri} refused a statement ({error.code}): {error.message}", fix="see `kgsync doctor`")


def _of_configuration(uri: str, error: driver_errors.ConfigurationError) -> KgsyncError:
    if "notification" in str(error).lower():  # filtering came with 5.7
        return UnavailableError(f"{uri} runs a Neo4j older than 5.7", fix="kgsync needs 5.26.4 or newer: upgrade it")
    return UnavailableError(f"{uri} cannot be used: {_first_line(error)}", fix="see `kgsync doctor`")


def _unreachable(uri: str, error: BaseException) -> UnavailableError:
    fix = "check that it runs and that the address is right"
    text = f"{error} {error.__cause__ or ''}"
    if "SSL" in text or "certificate" in text:
        fix = "a server without TLS has a URI without +s, one with a self-signed certificate has +ssc"
    elif "routing" in text.lower():
        fix += "; for a single server behind a gateway use bolt:// instead of neo4j://"
    return UnavailableError(f"{uri} does not answer: {_reason(error)}", fix=fix)


def _reason(error: BaseException) -> str:
    """Return the innermost reason: what the system said, rather than what each layer made of it."""
    innermost = error
    while innermost.__cause__ is not None:
        innermost = innermost.__cause__
    said = innermost.strerror if isinstance(innermost, OSError) else None
    return said or _first_line(error)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
