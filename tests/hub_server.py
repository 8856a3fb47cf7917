"""A local stand-in of the Hugging Face hub: the part of its HTTP API with which datasets are found and downloaded.

    with HubServer() as hub:
        hub.commit("facebook/xnli", {"sw/test-00000-of-00001.parquet": b"..."})
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)

Like the hub it keeps large and binary files apart (LFS: a redirect to another address, SHA-256 as ETag), lists trees in
pages, and tells errors apart by the header X-Error-Code. `hub.requests` are the requests so far.
"""

import hashlib
import json
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 3
"""Entries per page of a listing (1000 on the hub)."""
BINARY = (".parquet", ".zip", ".gz", ".tgz", ".bin")


class LocalServer:
    """An HTTP server on a free port of this machine, in a thread, as a context manager.

    busy: how often each request is refused before it is answered. refusal: the status and headers of that, or None for
    a connection that is reset.
    """

    def __init__(self, handler):
        self.requests, self.refused = [], Counter()
        self.busy, self.refusal = 0, (429, {"Retry_After": 0})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.owner = self
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.storage = f"http://localhost:{self._server.server_port}/storage"  # another host, as the hub's storage is

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Shut down: from now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers with `self.reply`, and writes down what was asked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        owner, request = self.server.owner, f"{self.command} {self.path}"
        owner.requests.append(request)
        owner.refused[request] += 1
        if owner.refused[request] > owner.busy:
            self.answer()
        elif owner.refusal:
            status, headers = owner.refusal
            self.reply(status, b"slow down", Content_Type="text/plain", **headers)
        else:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    do_HEAD = do_GET

    def reply(self, status=200, body=b"", **headers):
        self.send_response(status)
        for name, value in ({"Content_Length": len(body)} | headers).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def part(self, content, **headers):
        """Answer with the content, or with the range of it that was asked for."""
        start, _, end = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if not start:
            return self.reply(200, content, Accept_Ranges="bytes", **headers)
        if int(start) >= len(content):
            return self.reply(416, Content_Range=f"bytes */{len(content)}")
        piece = content[int(start) : int(end) + 1 if end else None]
        given = f"bytes {start}-{int(start) + len(piece) - 1}/{len(content)}"
        return self.reply(206, piece, Content_Range=given, **headers)

    def log_message(self, *_):
        pass


class HubServer(LocalServer):
    """Serves the repositories below `folder` ({owner}/{name}/...), and those that are committed later.

    gated: names of repositories whose files are refused. damaged: (repository, path) -> what is sent in its place.
    """

    def __init__(self, folder=None):
        super().__init__(_Hub)
        self.branches, self.trees, self.gated, self.damaged = {}, {}, set(), {}
        for repository in sorted(Path(folder).glob("*/*")) if folder else ():
            files = {p.relative_to(repository).as_posix(): p.read_bytes() for p in repository.rglob("*") if p.is_file()}
            self.commit("/".join(repository.parts[-2:]), files)

    def commit(self, repository, files, revision="main"):
        """Make `files` (path -> bytes) the whole tree of a branch or tag; returns the commit."""
        parent = self.branches.get((repository, revision))
        sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
        commit = hashlib.sha1(json.dumps([repository, parent, sums], sort_keys=True).encode()).hexdigest()
        self.trees[repository, commit] = dict(files)
        self.branches[repository, revision] = commit
        return commit

    def forget(self, repository, commit):
        """As after a forced push: the commit is gone."""
        del self.trees[repository, commit]

    def resolve(self, repository, revision):
        """The commit of a branch, tag or commit; None if there is none."""
        commit = self.branches.get((repository, revision), revision)
        return commit if (repository, commit) in self.trees else None


class _Hub(Handler):
    def answer(self):
        address = urlsplit(self.path)
        parts = [unquote(part) for part in address.path.strip("/").split("/")]
        hub = self.server.owner
        if parts[:2] == ["api", "datasets"] and parts[4:5] == ["revision"]:
            self.within("/".join(parts[2:4]), parts[5], self.information)
        elif parts[:2] == ["api", "datasets"] and parts[4:5] == ["tree"]:
            start = int(parse_qs(address.query).get("cursor", ["0"])[0])
            self.within("/".join(parts[2:4]), parts[5], self.listing, start)
        elif parts[0] == "datasets" and parts[3] == "resolve":
            self.within("/".join(parts[1:3]), parts[4], self.file, "/".join(parts[5:]))
        elif parts[0] == "storage":
            repository, path = "/".join(parts[1:3]), "/".join(parts[4:])
            self.part(hub.damaged.get((repository, path)) or hub.trees[repository, parts[3]][path])
        else:
            self.reply(404)

    def within(self, repository, revision, act, *arguments):
        hub = self.server.owner
        commit = hub.resolve(repository, revision)
        if not any(name == repository for name, _ in hub.trees):
            self.reply(401, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        elif commit is None:
            self.reply(404, X_Error_Code="RevisionNotFound", X_Error_Message=f"Invalid rev id: {revision}")
        else:
            act(repository, commit, *arguments)

    def information(self, repository, commit):
        tree = self.server.owner.trees[repository, commit]
        siblings = [{"rfilename": path} for path in sorted(tree)]
        about = {"id": repository, "sha": commit, "private": False, "tags": [], "downloads": 0, "likes": 0}
        self.reply(200, json.dumps(about | {"siblings": siblings}).encode(), Content_Type="application/json")

    def listing(self, repository, commit, start):
        tree = self.server.owner.trees[repository, commit]
        folders = {path.rsplit("/", n)[0] for path in tree for n in range(1, path.count("/") + 1)}
        entries = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)]
        entries += [_entry(path, content) for path, content in sorted(tree.items())]
        here, more = self.path.split("?")[0], {}
        if start + PAGE < len(entries):
            following = f"{self.server.owner.endpoint}{here}?recursive=True&cursor={start + PAGE}"
            more = {"Link": f'<{following}>; rel="next"'}
        page = entries[start : start + PAGE]
        self.reply(200, json.dumps(page).encode(), Content_Type="application/json", **more)

    def file(self, repository, commit, path):
        hub = self.server.owner
        content = hub.trees[repository, commit].get(path)
        if repository in hub.gated:
            self.reply(403, X_Error_Code="GatedRepo", X_Error_Message="Access to this dataset is restricted")
        elif content is None:
            self.reply(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found", X_Repo_Commit=commit)
        elif path.endswith(BINARY):
            there = f"{hub.storage}/{repository}/{commit}/{path}"
            sums = {"X_Linked_Etag": f'"{_entry(path, content)["lfs"]["oid"]}"', "X_Linked_Size": len(content)}
            self.reply(302, X_Repo_Commit=commit, Location=there, **sums)
        else:
            sent = hub.damaged.get((repository, path)) or content
            self.part(sent, X_Repo_Commit=commit, ETag=f'"{_entry(path, content)["oid"]}"')


def _entry(path, content):
    """One file of a listing, as the hub describes it."""
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry = {"type": "file", "path": path, "oid": oid, "size": len(content)}
    if path.endswith(BINARY):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry
