"""Applications that tell what their server made of a request."""

import json
from collections.abc import Iterable
from typing import Any


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        told = {name: scope[name] for name in ("method", "path", "root_path")}
        told["raw_path"] = scope["raw_path"].decode("latin-1")
        body = json.dumps(told).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    told = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "root_path": environ["SCRIPT_NAME"],
    }
    start_response("200 OK", [])
    return [json.dumps(told).encode()]
