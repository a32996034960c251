"""The exceptions of this package. Each says what happened, to which file or tensor, and
what to do next, in the words of the library."""

from __future__ import annotations


class NibbleError(Exception):
    """The base of all errors that the library reports.

    `status` is the name of the library's status, such as "malformed"."""

    status = "error"


class OptionError(NibbleError, ValueError):
    """Options that contradict each other or make no sense."""

    status = "invalid"


class ReadError(NibbleError, OSError):
    """A file that can't be opened or read."""

    status = "read"


class WriteError(NibbleError, OSError):
    """A file that can't be written."""

    status = "write"


class MalformedModelError(NibbleError, ValueError):
    """The model's bytes break the format."""

    status = "malformed"


class UnsupportedModelError(NibbleError):
    """A sound model that can't be converted with its meaning kept."""

    status = "unsupported"


class OutOfMemoryError(NibbleError, MemoryError):
    """Out of memory, or a model that wants absurdly much of it."""

    status = "memory"


class CancelledError(NibbleError):
    """The work was stopped before its end. Nothing was written."""

    status = "cancelled"


class DataError(NibbleError, ValueError):
    """Data that the model can't take: a missing input, a wrong shape or type."""

    status = "data"


class MissingPackageError(NibbleError, ImportError):
    """An optional package is needed and is not installed."""

    status = "missing package"


class NibbleWarning(UserWarning):
    """Something worth knowing about a model that was converted all the same."""
