"""What the exceptions of `requests` and `urllib3` prove, by their names, and in which words we tell it.

"Never left" may only be said of what these libraries raise before a connection stands. All else, and all
that a later version may add, is unclear. A test walks both libraries and fails on a class that is in neither
table. Names, not classes: so the tables need no import, and an older or newer library may lack some.
"""

from __future__ import annotations


class NotSentError(Exception):
    """No connection came to stand, so nothing can have reached the other side."""


class UnclearError(Exception):
    """Whether anything reached the other side is not known."""


class RefusedUrlError(Exception):
    """A URL that this program does not visit."""


_NO_URL = "the address is not a valid URL"
_LOST = "the connection was lost before the answer was complete"
_SLOW = "no answer within the time limit"
_NO_CONNECTION = "no connection within the time limit"
_NOT_HTTP = "the answer is not valid HTTP"
_UNUSED = "an unexpected error of the HTTP library"

# General classes, and those of features that this program does not use.
_STRANGERS = (
    *("HTTPError", "PoolError", "RequestError", "RequestException", "ResponseError", "MaxRetryError"),
    *("HostChangedError", "InvalidJSONError", "JSONDecodeError", "ProxyError", "ProxySchemeUnknown"),
    *("ProxySchemeUnsupported", "RetryError", "StreamConsumedError", "TimeoutStateError"),
    *("TooManyRedirects", "UnrewindableBodyError"),
)

NEVER_LEFT: dict[str, str] = {
    "NameResolutionError": "the name cannot be resolved",
    "NewConnectionError": "no connection (refused or unreachable)",
    "ConnectTimeoutError": _NO_CONNECTION,
    "ConnectTimeout": _NO_CONNECTION,
    "InvalidURL": _NO_URL,
    "InvalidProxyURL": _NO_URL,
    "InvalidSchema": _NO_URL,
    "MissingSchema": _NO_URL,
    "URLRequired": _NO_URL,
    "LocationParseError": _NO_URL,
    "LocationValueError": _NO_URL,
    "URLSchemeUnknown": _NO_URL,
}

UNCLEAR: dict[str, str] = {
    "ReadTimeout": _SLOW,
    "ReadTimeoutError": _SLOW,
    "Timeout": _SLOW,
    "TimeoutError": _SLOW,
    "ChunkedEncodingError": _LOST,
    "ConnectionError": _LOST,
    "IncompleteRead": _LOST,
    "InvalidChunkLength": _LOST,
    "ProtocolError": _LOST,
    "ResponseNotChunked": _LOST,
    "SSLError": "the secure connection failed",
    "ContentDecodingError": "the answer cannot be unpacked",
    "DecodeError": "the answer cannot be unpacked",
    "BodyNotHttplibCompatible": _NOT_HTTP,
    "HeaderParsingError": _NOT_HTTP,
    "InvalidHeader": "a header cannot be sent or read",
    "ClosedPoolError": "the program is stopping",
    "EmptyPoolError": "every connection is in use",
    "FullPoolError": "every connection is in use",
    **dict.fromkeys(_STRANGERS, _UNUSED),
}


def never_left(error: BaseException) -> bool:
    """Tell whether an exception proves that no connection stood."""
    return type(_cause(error)).__name__ in NEVER_LEFT


def words(error: BaseException) -> str:
    """Return an exception in a few words, without the object addresses and URLs that the libraries add."""
    name = type(_cause(error)).__name__
    return NEVER_LEFT.get(name) or UNCLEAR.get(name) or name


def _cause(error: BaseException) -> BaseException:
    """Return what lies inside: requests wraps urllib3's MaxRetryError, which holds a `reason`."""
    inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    reason = getattr(inner, "reason", None)
    return reason if isinstance(reason, BaseException) else inner
