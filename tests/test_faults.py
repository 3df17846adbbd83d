"""What is worth another try, and what is not: one answer for everything that repeats."""

import errno
import io
import json
import socket
import ssl
import time
import urllib.error
from email.message import Message

import httpx
import openai
import pytest
from scripted_server import Scripted

from auscult.audio.io import AudioError
from auscult.bench.files import MissingData
from auscult.engine.remote import Endpoint
from auscult.faults import Garbled, LastingFault, lasting, told_apart
from auscult.files import BadFile
from auscult.model.weights import open_model
from auscult.types import Turn
from auscult.verify.read.endpoint import extract_by_endpoint


def http(code: int, text: str = "") -> urllib.error.HTTPError:
    return urllib.error.HTTPError("http://x", code, text, Message(), io.BytesIO(b""))


def client(kind: type[openai.APIStatusError], code: int, text: str = "no") -> openai.APIStatusError:
    request = httpx.Request("POST", "http://x")
    return kind(text, response=httpx.Response(code, request=request), body=None)


LASTING = [
    *map(http, (400, 401, 403, 404, 405, 413, 422, 501)),
    client(openai.BadRequestError, 400), client(openai.AuthenticationError, 401),
    client(openai.NotFoundError, 404), client(openai.RateLimitError, 429, "exceeded your quota"),
    urllib.error.URLError(socket.gaierror(socket.EAI_NONAME, "no such host")),
    urllib.error.URLError(ssl.SSLCertVerificationError("self-signed")),
    AudioError("a.wav is empty"), BadFile("a.json is cut"), MissingData("a"),
    FileNotFoundError("a.wav"), PermissionError("a.wav"), ModuleNotFoundError("espeak"),
    LastingFault("known before"),
]  # fmt: skip
PASSING = [
    *map(http, (408, 409, 425, 429, 500, 502, 503, 504)),
    client(openai.RateLimitError, 429), client(openai.InternalServerError, 500),
    openai.APIConnectionError(request=httpx.Request("POST", "http://x")),
    openai.APITimeoutError(request=httpx.Request("POST", "http://x")),
    urllib.error.URLError(ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
    urllib.error.URLError(socket.gaierror(socket.EAI_AGAIN, "try again")),
    ConnectionResetError(), TimeoutError(), Garbled("half a reply"), RuntimeError("who knows"),
    json.JSONDecodeError("cut", "", 0), KeyboardInterrupt(),
]  # fmt: skip


@pytest.mark.parametrize("error", LASTING, ids=lambda e: f"{type(e).__name__} {str(e)[:20]}")
def test_what_would_happen_again_lasts(error: BaseException):
    assert lasting(error)
    wrapped = RuntimeError("in other words")
    wrapped.__cause__ = error
    assert lasting(wrapped)
    with pytest.raises(LastingFault), told_apart():
        raise error


@pytest.mark.parametrize("error", PASSING, ids=lambda e: f"{type(e).__name__} {str(e)[:20]}")
def test_what_may_be_gone_passes(error: BaseException):
    assert not lasting(error)
    with pytest.raises(type(error)) as found, told_apart():
        raise error
    assert found.value is error


def test_the_clients_own_requests_wait_for_what_passes_only():
    _, processor = open_model("nano")
    for behaviour, tries in (("404", 1), ("401", 1), ("503", 3), ("html", 3)):
        with Scripted({"Who?": "B"}, lambda seen, b=behaviour: b) as server:
            endpoint = Endpoint(server.url, "m", processor, attempts=3, backoff_s=0.01)
            with pytest.raises(ValueError):
                endpoint.several([[Turn(role="human", text="Who?")]], 1)
            assert len(server.seen) == tries, behaviour


def test_the_extractor_asks_once_where_it_is_refused():
    with Scripted({"": ""}, lambda seen: "401") as server:
        began = time.monotonic()
        with pytest.raises(ValueError, match=r"refuses to extract claims: .*401"):
            extract_by_endpoint("A dog barks.", url=server.url, model="m")
        assert len(server.seen) == 1 and time.monotonic() - began < 5
