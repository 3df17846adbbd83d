"""What a client gets that made a mistake: OpenAI's envelope, a 4xx, and what to do."""

from typing import Any


class Refused(Exception):
    """A request that is not answered. `param`: the field that is wrong; `retry_s`: when to come
    back. Example: Refused(400, "n is 0; expected 1 to 16", param="n")."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str = "",
        retry_s: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.message, self.param = status, message, param
        self.code, self.retry_s = code or KINDS.get(status, ("", ""))[1], retry_s

    @property
    def envelope(self) -> dict[str, Any]:
        """The body of the answer."""
        kind = KINDS.get(self.status, ("invalid_request_error", ""))[0]
        error = {
            "message": self.message, "type": kind, "param": self.param, "code": self.code or None,
        }  # fmt: skip
        return {"error": error}


KINDS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", ""),
    401: ("authentication_error", "invalid_api_key"),
    404: ("invalid_request_error", "not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    413: ("invalid_request_error", "request_too_large"),
    415: ("invalid_request_error", "unsupported_media_type"),
    429: ("rate_limit_error", "queue_full"),
    500: ("server_error", "internal_error"),
    503: ("server_error", "shutting_down"),
    504: ("server_error", "deadline_exceeded"),
}
"""HTTP status -> the envelope's type and code."""
