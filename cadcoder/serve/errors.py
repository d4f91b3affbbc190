"""Errors of the protocol: an HTTP status and OpenAI's JSON form."""

from __future__ import annotations

from typing import Any

from cadcoder.errors import CadCoderError, InputError, MissingDependency, NoValidScript

#: OpenAI's ``type`` for a status; for others it is ``invalid_request_error`` below 500 and ``server_error`` above.
_TYPES = {
    401: "authentication_error",
    408: "timeout_error",
    422: "no_valid_script",
    429: "rate_limit_error",
    503: "service_unavailable_error",
    504: "timeout_error",
}


class ApiError(Exception):
    """What a client is told in place of an answer.

    Attributes:
        status: HTTP status.
        message: one line that says what is wrong and what to do.
        param: the field of the request that is meant.
        code: a short word for programs.
        headers: further headers of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = headers or {}

    def to_json(self) -> dict[str, Any]:
        """Return the body of the response."""
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def from_ours(error: CadCoderError) -> ApiError:
    """Return what a client is told of an error of ours."""
    message = " ".join(str(error).split())
    if isinstance(error, NoValidScript):
        # Asking again for the same gives the same, so it is not among the statuses that clients try again.
        return ApiError(422, message, code="no_valid_script")
    if isinstance(error, InputError | MissingDependency):
        return ApiError(400, message, param="messages", code="invalid_image")
    return ApiError(500, message)


def unavailable(message: str) -> ApiError:
    """Return the error for a server that does not take requests now."""
    return ApiError(503, message, code="unavailable", headers={"Retry-After": "2"})
