"""Is it worth another try? One answer for everything that repeats a request or a question.

A lasting fault (a refused key, an unknown model, a broken recording) is the same the next time, and
waiting for it helps nobody; a passing one (a busy server, a dropped line) may be gone.
"""

import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager

BUSY = (408, 409, 425, 429)
"""HTTP statuses below 500 that are worth another try, as are those from 500 on."""
_NEVER_SERVED = (501, 505)
_LASTING = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ImportError,
    ssl.SSLCertVerificationError,
)
_OUR_OWN = "auscult."


class LastingFault(Exception):
    """A fault that another try would meet again; the message says what and what to do."""


class Garbled(ValueError):
    """What came from a server is no reply; the next one may be."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        yield now
        reason = getattr(now, "reason", None)  # of urllib
        now = now.__cause__ or (reason if isinstance(reason, BaseException) else None)


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error of urllib, httpx or openai carries; None without one."""
    for name in ("status_code", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int) and 100 <= value < 600:
            return value
    return None


def _is_lasting(error: BaseException) -> bool:
    if isinstance(error, Garbled):
        return False
    if (status := status_of(error)) is not None:
        spent = status == 429 and "quota" in str(error).lower()  # of a month, not of a minute
        return spent or status in _NEVER_SERVED or (400 <= status < 500 and status not in BUSY)
    if isinstance(error, socket.gaierror):
        return error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
    ours = isinstance(error, ValueError) and type(error).__module__.startswith(_OUR_OWN)
    return ours or isinstance(error, (*_LASTING, LastingFault))


def lasting(error: BaseException) -> bool:
    """Would another try meet the same fault? Of an error that nobody knows: no."""
    return any(_is_lasting(e) for e in _chain(error))


@contextmanager
def told_apart() -> Generator[None]:
    """Lasting faults leave as `LastingFault`, all others as they are."""
    try:
        yield
    except BaseException as error:  # it is raised again, whatever it is
        if isinstance(error, LastingFault) or not lasting(error):
            raise
        raise LastingFault(f"{type(error).__name__}: {error}") from error
