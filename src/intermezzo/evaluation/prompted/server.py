"""A language model behind a server that speaks OpenAI's completions protocol (vLLM, SGLang, llama.cpp, ...).

Choices are scored by `echo` with `logprobs`: the server gives the log-probability of each token of the prompt and the
choice. One that cannot do this is refused in words: chat protocols never can. The key comes from the environment and
is in no message, log or file.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, build_opener
from urllib.request import Request as HttpRequest

from intermezzo.core.errors import UserError
from intermezzo.core.excerpt import one_line
from intermezzo.core.secrets import masked
from intermezzo.evaluation.prompted.requests import Answer, Request
from intermezzo.sources.hub.patience import Patience, is_busy
from intermezzo.specs.prompting import ServerModel

log = logging.getLogger(__name__)

SECONDS = 600.0
"""Within which a server must begin to answer."""
_STOP = "\n"


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirection: another host must not get the key."""

    def redirect_request(self, *_: Any) -> None:
        """None: the redirection is an error of the request."""
        return None


class Server:
    """A backend. Raises UserError for a key that is missing, before anything is asked."""

    def __init__(self, spec: ServerModel, answer_tokens: int) -> None:
        self.spec, self.answer_tokens = spec, answer_tokens
        self.url = spec.server.rstrip("/") + "/completions"
        self._opener = build_opener(_NoRedirect())
        self._key = os.environ.get(spec.key, "").strip() if spec.key else None
        if spec.key and not self._key:
            raise UserError(
                f"the environment variable {spec.key}, which is to have the key of {masked(spec.server)}, is not set; "
                f"run `export {spec.key}=...` in the shell that starts the run"
            )

    @property
    def made_with(self) -> dict[str, str]:
        """What computed the answers."""
        return {"server": masked(self.spec.server), "model": self.spec.model}

    def answer(self, requests: Sequence[Request], missing: set[Request]) -> Iterator[list[tuple[Request, Answer]]]:
        """Answers to the missing ones of `requests`, as they come; where one fails, those under way come before it."""
        pool, failure = ThreadPoolExecutor(self.spec.requests), None
        try:
            asked = [request for request in dict.fromkeys(requests) if request in missing]
            futures = {pool.submit(self._ask, request): request for request in asked}
            for future in as_completed(futures):
                try:
                    answer = future.result()
                except CancelledError:
                    continue
                except UserError as error:
                    failure = failure or error
                    for other in futures:
                        other.cancel()
                else:
                    yield [(futures[future], answer)]
            if failure:
                raise failure
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, request: Request) -> Answer:
        began = time.monotonic()
        if not request.choices:
            settings = {"prompt": request.prompt, "max_tokens": self.answer_tokens, "stop": [_STOP]}
            reply = self._post(settings)
            text, usage = self._first(reply).get("text"), reply.get("usage") or {}
            if not isinstance(text, str):
                raise self._misfit("its reply has no choices[0].text")
            tokens = [_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")]
            return Answer((), text.split(_STOP)[0], tokens[0], tokens[1], time.monotonic() - began)
        scored = [self._likelihood(request.prompt, choice) for choice in request.choices]
        likelihoods, tokens = tuple(value for value, _ in scored), sum(count for _, count in scored)
        return Answer(likelihoods, "", tokens, 0, time.monotonic() - began)

    def _likelihood(self, prompt: str, choice: str) -> tuple[float, int]:
        """The log-likelihood of a choice after a prompt, and the tokens of both."""
        text = prompt + choice
        reply = self._post({"prompt": text, "max_tokens": 1, "logprobs": 1, "echo": True})
        scores = self._first(reply).get("logprobs")
        try:
            tokens = list(zip(scores["text_offset"], scores["token_logprobs"], strict=True))
            ends = [offset for offset, _ in tokens[1:]] + [len(text) + 1]
            # echoed tokens that end within the choice; the one beyond the text was generated
            counted = [
                score
                for (offset, score), end in zip(tokens, ends, strict=True)
                if end > len(prompt) and offset < len(text)
            ]
            if not counted or tokens[0][0] != 0:
                raise ValueError("no echo")
            return float(sum(counted)), sum(offset < len(text) for offset, _ in tokens)
        except (TypeError, KeyError, ValueError, IndexError):
            raise self._misfit(
                "it gives no log-probabilities of the prompt (`echo` with `logprobs`), which choices are scored by; "
                "vLLM's and SGLang's /v1/completions give them, chat protocols do not. Name a server that does, or "
                "load the model by `from`"
            ) from None

    def _first(self, reply: Any) -> dict[str, Any]:
        try:
            return dict(reply["choices"][0])
        except (TypeError, KeyError, IndexError, ValueError):
            raise self._misfit("its reply has no choices[0]") from None

    def _post(self, settings: dict[str, Any]) -> Any:
        """The reply to a request, after as much waiting as a busy server needs."""
        body = json.dumps({"model": self.spec.model, "temperature": 0, "seed": 0} | settings).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        patience = Patience(masked(self.url), "answers that were given are kept")
        while True:
            reply_headers: Any = {}
            try:
                with self._opener.open(HttpRequest(self.url, body, headers), timeout=SECONDS) as reply:
                    return json.loads(reply.read())
            except HTTPError as error:
                words = self._without_key(one_line(error.read(2000).decode("utf-8", "replace")))[:300]
                if not is_busy(error.code, dict(error.headers)):
                    raise self._misfit(self._refusal(error.code, words)) from None
                reason, reply_headers = f"status {error.code}", dict(error.headers)
            except ValueError as error:
                if isinstance(error, UnicodeError | json.JSONDecodeError):
                    raise self._misfit("its reply is not JSON") from None
                raise self._misfit(f"not an address that can be asked ({masked(str(error))})") from None
            except (URLError, http.client.HTTPException, OSError) as error:
                reason = masked(str(getattr(error, "reason", None) or error or type(error).__name__))
            patience.wait(reason, reply_headers)

    def _refusal(self, status: int, words: str) -> str:
        if status in (401, 403):
            mend = f"see to the key in {self.spec.key}" if self.spec.key else "name the variable of its key in `key`"
            return f"it refuses access (status {status}: {words}); {mend}"
        if status == 404:
            return f"it has no model '{self.spec.model}', or nothing at this address (status 404: {words})"
        if 300 <= status < 400:
            return f"it sends requests elsewhere (status {status}); name the final address in `server`"
        return f"it refuses the request (status {status}: {words})"

    def _without_key(self, words: str) -> str:
        return words.replace(self._key, "***") if self._key else words

    def _misfit(self, words: str) -> UserError:
        return UserError(f"server {masked(self.url)}, model '{self.spec.model}': {words}")


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
