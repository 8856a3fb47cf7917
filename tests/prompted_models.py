"""A tiny random causal language model, and a stand-in for a server of OpenAI's completions protocol."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = "alpha beta gamma delta True False Neither Answer Question Text yes no".split()  # noqa: SIM905


def causal_model(folder):
    """Write a random causal language model with a byte-level tokenizer to a folder; the same every time."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({piece: n for n, piece in enumerate([*alphabet, "<pad>"])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<pad>", bos_token="<pad>")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(alphabet) + 1, max_position_embeddings=1024, initializer_range=0.3, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


class Server(ThreadingHTTPServer):
    """`fails`: replies in their order, each a status that comes in place of an answer. `requests`: all bodies."""

    daemon_threads = True

    def __init__(self, fails=(), logprobs=True):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fails, self.logprobs, self.bodies, self.keys = list(fails), logprobs, [], []
        self.guard = threading.Lock()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Print nothing."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.guard:
            self.server.keys.append(self.headers.get("Authorization"))
            status = self.server.fails.pop(0) if self.server.fails else 200
            if status == 200:
                self.server.bodies.append(body)
        if status == 0:  # the connection breaks
            self.close_connection = True
            return
        reply = self._reply(body) if status == 200 else {"error": f"no, {self.headers.get('Authorization')}"}
        content = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _reply(self, body):
        """Tokens are words with the space before them; longer ones are less likely. Text is echoed if asked for."""
        choice = {"index": 0, "text": " gamma\nmore"}
        if body.get("echo") and self.server.logprobs:
            pieces = [*_pieces(body["prompt"]), " new"]
            offsets = [sum(map(len, pieces[:number])) for number in range(len(pieces))]
            scores = [None, *(-len(piece) / 4 for piece in pieces[1:])]
            choice["logprobs"] = {"tokens": pieces, "text_offset": offsets, "token_logprobs": scores}
        return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}


def _pieces(text):
    return [" " + word if number else word for number, word in enumerate(text.split(" "))]


@contextmanager
def serving(**options):
    """A server that runs within the context."""
    server = Server(**options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
