"""The application: routes, and what stands before them (key, size, envelope of errors)."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from auscult.engine import Engine, Ticket
from auscult.engine.request import Answered, Event, Pieces
from auscult.serve import writing
from auscult.serve.asking import Asked, asked, heard_tokens, words_alone
from auscult.serve.errors import Refused
from auscult.serve.limits import Limits
from auscult.serve.sound import clip_of
from auscult.serve.wire import ChatRequest, VerifyRequest, read
from auscult.verify.choice import best
from auscult.verify.scores import score
from auscult.verify.verify import listen

log = logging.getLogger("auscult.serve")
OPEN = frozenset({"/", "/health", "/ready"})
"""Paths that need no key."""

IDLE_S = 10.0
"""A stream that has nothing to say says so."""


class Service:
    """One engine and what its requests have in common."""

    def __init__(
        self, engine: Engine, *, name: str, key: str = "", limits: Limits = Limits()
    ) -> None:
        self.engine, self.name, self.limits = engine, name, limits
        self.key = hashlib.sha256(key.encode()).digest() if key else b""
        tokenizer: Any = engine.processor.tokenizer
        self.plain = words_alone(tokenizer.all_special_tokens)
        self.decode: Callable[[int], str] = lambda token: str(tokenizer.decode([token]))
        self.closing = False

    def allowed(self, header: str) -> bool:
        """Is this the key? Compared in constant time."""
        given = hashlib.sha256(header.removeprefix("Bearer ").strip().encode()).digest()
        return not self.key or hmac.compare_digest(given, self.key)

    def submit(self, request: Any, **given: Any) -> Ticket:
        """A promise of the engine. Raises `Refused` where too many wait."""
        if self.closing:
            raise Refused(503, "the server is going down; ask another one", retry_s=5)
        if len(self.engine.open) >= self.limits.waiting:
            raise Refused(429, f"{self.limits.waiting} requests are in flight; come back later",
                          retry_s=1)  # fmt: skip
        return self.engine.submit(request, **given)

    async def asked(self, chat: ChatRequest) -> Asked:
        """The request with its sound decoded, beside the event loop."""
        if chat.model and chat.model != self.name:
            raise Refused(404, f"there is no model {chat.model[:60]!r}; this is {self.name!r}",
                          param="model", code="model_not_found")  # fmt: skip
        return await run_in_threadpool(asked, chat, self.limits, self.plain)


def application(engine: Engine, *, name: str, key: str = "", limits: Limits = Limits()) -> FastAPI:
    """The server of one engine. `name`: what /v1/models lists; `key`: "" = none is asked for."""
    service = Service(engine, name=name, key=key, limits=limits)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None]:
        yield
        service.closing = True
        engine.close()

    app = FastAPI(title="auscult", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.state.service = service
    app.middleware("http")(_door(service))
    _errors(app)
    _routes(app, service)
    return app


Next = Callable[[Request], Awaitable[Response]]


def _door(service: Service) -> Callable[[Request, Next], Awaitable[Response]]:
    """The key, and the size that the request says it has."""

    async def door(request: Request, following: Next) -> Response:
        said = request.headers.get("content-length", "0")
        if request.url.path not in OPEN and not service.allowed(
            request.headers.get("authorization", "")
        ):
            return _refusal(Refused(401, "the API key is missing or wrong; send it as "
                                    "`Authorization: Bearer KEY`"))  # fmt: skip
        if said.isdigit() and int(said) > service.limits.body_bytes:
            return _refusal(_too_large(service.limits))
        return await following(request)

    return door


def _too_large(limits: Limits) -> Refused:
    return Refused(413, f"the body may have at most {limits.body_bytes >> 20} MiB")


async def _body(request: Request, limits: Limits) -> bytes:
    """All of it, unless it is too long, whatever its head says."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limits.body_bytes:
            raise _too_large(limits)
        parts.append(part)
    return b"".join(parts)


def _refusal(error: Refused) -> JSONResponse:
    headers = {"Retry-After": str(error.retry_s)} if error.retry_s else None
    return JSONResponse(error.envelope, error.status, headers=headers)


def _errors(app: FastAPI) -> None:
    async def refused(_: Request, error: Any) -> Response:
        return _refusal(error)

    async def http(_: Request, error: Any) -> Response:
        said = "there is nothing here" if error.status_code == 404 else str(error.detail)
        return _refusal(Refused(error.status_code, said))

    async def ours(_: Request, error: Exception) -> Response:
        log.exception("a request failed", exc_info=error)
        return _refusal(Refused(500, "the server failed on this request; its log says why"))

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, ours)


# ---------------------------------------------------------------------------- routes


POLICY = "; ".join((
    "default-src 'none'", "script-src 'unsafe-inline'", "style-src 'unsafe-inline'",
    "connect-src 'self'", "media-src blob:", "form-action 'none'", "base-uri 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
"""Of the page: it is one file, and nothing of it comes from elsewhere."""


def _routes(app: FastAPI, service: Service) -> None:
    @app.get("/")
    async def page() -> Response:
        html = (files("auscult.serve") / "page.html").read_text(encoding="utf-8")
        return HTMLResponse(html, headers={"Content-Security-Policy": POLICY})

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> dict[str, Any]:
        if service.closing:
            raise Refused(503, "the server is going down")
        return {"status": "ready", "in_flight": len(service.engine.open)}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        one = {"id": service.name, "object": "model", "created": 0, "owned_by": "auscult"}
        return {"object": "list", "data": [one]}

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        wanted = read(ChatRequest, await _body(request, service.limits))
        ask = await service.asked(wanted)
        if wanted.stream:
            return _stream(service, wanted, ask)
        answered = await _whole(service, ask, request)
        return JSONResponse(await run_in_threadpool(_answer, service, wanted, ask, answered))

    @app.post("/v1/verify")
    async def verify(request: Request) -> dict[str, Any]:
        wanted = read(VerifyRequest, await _body(request, service.limits))
        return await run_in_threadpool(_verified, service, wanted)


def _verified(service: Service, wanted: VerifyRequest) -> dict[str, Any]:
    clips = [clip_of(p, f"audio[{i}]", service.limits) for i, p in enumerate(wanted.audio)]
    scores, findings = score(
        wanted.thought, listen(clips), answer=wanted.answer, options=wanted.options,
        question=wanted.question,
    )  # fmt: skip
    return writing.evidence(scores, findings, 1)


async def _whole(service: Service, ask: Asked, request: Request) -> Answered:
    """The answer, unless its time is over or its client leaves first."""
    ticket = service.submit(ask.request)
    future = asyncio.wrap_future(ticket)
    end = asyncio.get_running_loop().time() + service.limits.deadline_s
    try:
        while not future.done():
            await asyncio.wait({future}, timeout=0.25)
            if await request.is_disconnected():
                raise Refused(400, "the client has left")
            if asyncio.get_running_loop().time() > end:
                raise Refused(504, f"not answered within {service.limits.deadline_s:.0f} s")
        return future.result()
    except ValueError as error:
        raise Refused(400, str(error)) from error
    finally:
        ticket.cancel()


def _answer(
    service: Service, wanted: ChatRequest, ask: Asked, answered: Answered
) -> dict[str, Any]:
    replies, found = list(answered.replies), None
    if ask.evidence:
        ears = listen(ask.clips)
        at, scores, findings = best(replies, ears, question=ask.question, options=ask.options)
        found = writing.evidence(scores, findings, len(replies))
        replies = [replies[at]]
    decode = service.decode if wanted.logprobs else None
    body = writing.head(service.name, "chat.completion") | {
        "choices": [
            writing.choice(i, reply, reasoning=wanted.include_reasoning, decode=decode,
                           top=wanted.top_logprobs or 0)
            for i, reply in enumerate(replies)
        ],
        "usage": writing.usage(answered, heard_tokens(ask.clips)),
    }  # fmt: skip
    return body if found is None else body | {"grounding": found}


def _stream(service: Service, wanted: ChatRequest, ask: Asked) -> StreamingResponse:
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[Event | None] = asyncio.Queue()

    def put(event: Event | None) -> None:
        loop.call_soon_threadsafe(waiting.put_nowait, event)

    ticket = service.submit(ask.request, listen=put)
    ticket.add_done_callback(lambda _: put(None))
    events = _events(service, wanted, ask, ticket, waiting)
    head = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=head)


async def _events(
    service: Service, wanted: ChatRequest, ask: Asked, ticket: Ticket,
    waiting: "asyncio.Queue[Event | None]",
) -> AsyncIterator[bytes]:  # fmt: skip
    """The stream. A client that leaves closes this generator, which frees its rows."""
    begin = writing.head(service.name, "chat.completion.chunk")
    n, stops = ask.request.n, ask.request.sampling.stop
    written = [Pieces(service.engine.tags, stops) for _ in range(n)]

    def chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return writing.sse(begin | {"choices": choices} | more)

    try:
        for i in range(n):
            yield chunk([writing.first(i)])
        while True:
            try:
                event = await asyncio.wait_for(waiting.get(), IDLE_S)
            except TimeoutError:
                yield writing.IDLE
                continue
            if event is None:
                break
            for part, text in written[event.reply].feed(event):
                made = writing.delta(event.reply, part, text, reasoning=wanted.include_reasoning)
                if made is not None:
                    yield chunk([made])
        if (error := ticket.exception()) is not None:
            yield writing.sse(Refused(400, str(error)).envelope)
        elif wanted.stream_options is not None and wanted.stream_options.include_usage:
            yield chunk([], usage=writing.usage(ticket.result(), heard_tokens(ask.clips)))
        yield writing.DONE
    finally:
        ticket.cancel()
