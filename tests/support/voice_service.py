"""A voice service for tests: OpenAI's chat completions and E-02's own protocol on one port, as hostile as scripted.

The one rule: it is real sockets, and it writes down every question; what a test claims about calls, it reads there.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from adapters.http.breaker import HostBreaker
from adapters.http.session import HttpSession
from adapters.voices.http import HttpVoice
from adapters.voices.openai import OpenAiVoice
from engagement_core.ports.clock import Clock

__all__ = ["VOICE_KEY", "Question", "VoiceService", "http_voice", "openai_voice"]

VOICE_KEY = "the-voice-key-0123456789"

Script = Callable[["_Handler", "Question"], None]


def openai_voice(url: str, session: HttpSession, clock: Clock, *, key: str = VOICE_KEY) -> OpenAiVoice:
    """The voice that asks it as OpenAI is asked."""
    return OpenAiVoice(url + "/v1", api_key=key, model="model-1", session=session, breaker=_breaker(clock))


def http_voice(url: str, session: HttpSession, clock: Clock, *, key: str | None = VOICE_KEY) -> HttpVoice:
    """The voice that asks it as E-02 is asked."""
    return HttpVoice(url + "/voice", api_key=key, session=session, breaker=_breaker(clock))


def _breaker(clock: Clock) -> HostBreaker:
    return HostBreaker(host="The voice", clock=clock, fail_max=3, reset_timeout=timedelta(seconds=30))


@dataclass(frozen=True)
class Question:
    """One request: what was sent, and the comment in it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def comment(self) -> str:
        """The comment, as the service reads it out of the data."""
        if "messages" not in self.body:
            return str(self.body["text"])
        *_, data = self.body["messages"][1]["content"].splitlines()
        return str(json.loads(data)["comment"])


class VoiceService:
    """A running service; a context manager. It repeats the comment until it is told otherwise.

    `questions` is everything that it was asked, in order.
    """

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.stopping = threading.Event()
        self._news = threading.Condition()
        self._scripts: deque[Script] = deque()
        self._otherwise: Script = _saying(lambda question: question.comment)
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> VoiceService:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def comments(self) -> list[str]:
        """The comments that it was asked for, in order."""
        return [question.comment for question in self.questions]

    def wait_for(self, questions: int, timeout: float = 10.0) -> bool:
        """Block until it was asked so often; False when `timeout` seconds were not enough."""
        with self._news:
            return self._news.wait_for(lambda: len(self.questions) >= questions, timeout)

    def says(self, *texts: str) -> None:
        """Say these next, one after the other."""
        self._scripts.extend(_saying(lambda _, text=text: text) for text in texts)  # type: ignore[misc]

    def always_says(self, text: str) -> None:
        """From now on, say this."""
        self._otherwise = _saying(lambda _: text)

    def answers(self, status: int, body: bytes = b"{}", *, times: int = 1) -> None:
        """Answer with exactly this, the next so many times."""
        self._scripts.extend([lambda handler, _: handler.reply(status, body)] * times)

    def hangs(self, *, times: int = 1) -> None:
        """Say nothing at all, the next so many times."""
        self._scripts.extend([lambda handler, _: handler.hang()] * times)

    def drips(self, *, times: int = 1) -> None:
        """Begin an answer and never end it: a byte every 20 ms."""
        self._scripts.extend([lambda handler, _: handler.drip()] * times)

    def holds(self, text: str) -> threading.Event:
        """Say this next, but only once the returned event is set."""
        may_speak = threading.Event()

        def script(handler: _Handler, question: Question) -> None:
            may_speak.wait(10)
            _saying(lambda _: text)(handler, question)

        self._scripts.append(script)
        return may_speak

    def note(self, question: Question) -> Script:
        """A question has come; how it is answered."""
        with self._news:
            self.questions.append(question)
            self._news.notify_all()
            return self._scripts.popleft() if self._scripts else self._otherwise


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, service: VoiceService) -> None:
        self.service = service
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """One request, in a thread of its own."""

    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = Question(path=self.path, headers=dict(self.headers), body=body)
        with suppress(OSError):  # the client need not wait for the end
            self.server.service.note(question)(self, question)

    def reply(self, status: int, body: bytes) -> None:
        """A whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hang(self) -> None:
        """Until the client leaves, or the test ends."""
        self.connection.settimeout(0.05)
        while not self.server.service.stopping.is_set():
            with suppress(TimeoutError):
                if not self.connection.recv(1):
                    return

    def drip(self) -> None:
        """A byte now and then, until the client leaves."""
        self.send_response(200)
        self.send_header("Content-Length", "9999")
        self.end_headers()
        while not self.server.service.stopping.wait(0.02):
            self.wfile.write(b" ")

    def log_message(self, *_: object) -> None:
        """Silent."""


def _saying(words: Callable[[Question], str]) -> Script:
    """An answer in the protocol of the question."""

    def script(handler: _Handler, question: Question) -> None:
        text = words(question)
        answer: dict[str, Any] = {"text": text}
        if question.path.endswith("/chat/completions"):
            message = {"role": "assistant", "content": text}
            answer = {"id": "c-1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        handler.reply(200, json.dumps(answer).encode())

    return script
