"""A server on this machine that answers as much of W&B's protocol as `wandb sync` needs, and records it all.

It answers GraphQL by the name of the operation, takes the lines of each run's streams, and whole files.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Run:
    """What was uploaded of a run.

    Attributes:
        upserts: the variables of each UpsertBucket.
        files: of each stream, its lines by number: a line that is sent again replaces the one before.
        exit_code: as the stream ended.
    """

    upserts: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    exit_code: int | None = None
    preempting: bool = False

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows that were logged, in order."""
        return [json.loads(line) for _, line in sorted(self.files["wandb-history.jsonl"].items())]

    @property
    def summary(self) -> dict[str, Any]:
        """The summary that was sent last."""
        lines = self.files["wandb-summary.json"]
        found: dict[str, Any] = json.loads(lines[max(lines)])
        return found

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that was sent last, without W&B's own part."""
        sent = [upsert["config"] for upsert in self.upserts if upsert.get("config")]
        return {key: entry["value"] for key, entry in json.loads(sent[-1]).items() if key != "_wandb"}


class Server(ThreadingHTTPServer):
    """The server.

    Attributes:
        runs: by id.
        stored: the files that were uploaded whole, by the path of the upload.
        views: the variables of each workspace that was saved.
        asked: the names of all operations.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs: dict[str, Run] = defaultdict(Run)
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, bytes] = {}
        self.views: list[dict[str, Any]] = []
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Its address, for WANDB_BASE_URL."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which W&B logs in to it, and asks nobody else."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": "0" * 40,
            "WANDB_MODE": "online",
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_SILENT": "true",
        }

    def answer(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return the data that answer an operation."""
        self.asked.append(name)
        entity = {"id": "RW50aXR5OjE=", "name": given.get("entity") or "me"}
        if name == "UpsertBucket":
            self.runs[given["name"]].upserts.append(given)
            project = {"id": "UHJvamVjdDox", "name": given.get("project") or "seqbench", "entity": entity}
            bucket = {
                **{
                    "id": f"id-{given['name']}",
                    "name": given["name"],
                    "displayName": given.get("displayName"),
                },
                **{"description": "", "sweepName": None, "project": project, "historyLineCount": 0},
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if name == "RunResumeStatus":
            return {"model": {"id": "p", "name": given["project"], "entity": entity, "bucket": None}}
        if name == "CreateRunFiles":
            files = [
                {"name": file, "uploadUrl": f"{self.url}/storage/{given['run']}/{file}"}
                for file in given["files"]
            ]
            return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}
        if name == "CreateArtifact":
            given = given.get("input", given)
            id = f"artifact-{len(self.artifacts)}"
            self.artifacts[id] = given
            made = {"id": id, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
            return {"createArtifact": {"artifact": made}}
        if name == "CreateArtifactManifest":
            url = f"{self.url}/storage/{given['artifactID']}/{given['name']}"
            file = {"id": "file", "uploadUrl": url, "uploadHeaders": []}
            return {"createArtifactManifest": {"artifactManifest": {"id": "manifest", "file": file}}}
        if name == "CreateArtifactFiles":
            nodes = [
                {
                    "storagePath": file["name"],
                    "uploadUrl": f"{self.url}/storage/{file['artifactID']}/{file['name']}",
                    "uploadHeaders": [],
                    "uploadMultipartUrls": None,
                    "artifact": {"id": file["artifactID"]},
                }
                for file in given["input"]["artifactFiles"]
            ]
            return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}
        if name == "CommitArtifact":
            return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": ""}}}
        if name == "UpsertView2":
            self.views.append(given)
            return {"upsertView": {"view": {"id": "view", "name": given["name"]}, "inserted": True}}
        viewer = {
            **{"id": "VXNlcjox", "entity": "me", "username": "me", "email": "me@example.org", "flags": "{}"},
            **{"teams": {"edges": []}, "apiKeys": {"edges": []}, "admin": False, "name": "me"},
        }
        return {
            "viewer": viewer,
            "serverInfo": {"features": [], "cliVersionInfo": {}, "latestLocalVersionInfo": None},
            "TypeInfo": {"fields": [], "inputFields": []},
        }


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        sent = self._body() or b"{}"
        if self.headers.get("Content-Encoding") == "gzip":
            sent = gzip.decompress(sent)
        body = json.loads(sent) if sent[:1] == b"{" else {}  # telemetry is other bytes
        if self.path.endswith("/file_stream"):
            run = self.server.runs[self.path.split("/")[-2]]
            for name, part in (body.get("files") or {}).items():
                for number, line in enumerate(part["content"], part.get("offset", 0)):
                    run.files[name][number] = line
            run.preempting = run.preempting or bool(body.get("preempting"))
            if body.get("complete"):
                run.exit_code = body.get("exitcode")
            self._reply({"exitcode": None, "limits": {}})
        elif "query" not in body:  # telemetry
            self._reply({})
        else:
            name = body.get("operationName") or body["query"].split("(")[0].split("{")[0].split()[-1]
            self._reply({"data": self.server.answer(name, body.get("variables") or {})})

    def do_PUT(self) -> None:
        self.server.stored[self.path.removeprefix("/storage/")] = self._body()
        self._reply({})

    def do_GET(self) -> None:
        self._reply({})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _reply(self, answer: dict[str, Any]) -> None:
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    """Serve until the end of the context."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
