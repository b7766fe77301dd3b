"""Pages of the server: one for people with a picture, one that says what there is; nothing comes from elsewhere."""

from __future__ import annotations

import html
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, Response

from raylab2f.cluster.serving.metrics import ServerMetrics

__all__ = ["JUDGE", "JUDGE_RESPONSES", "add_pages"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_STATIC = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}

#: What FastAPI cannot tell by itself of `POST /v1/judge`.
JUDGE: dict[str, Any] = {
    "parameters": [
        {
            "name": "model",
            "in": "query",
            "description": "Which model; the first one without it.",
            "schema": {"type": "string"},
        },
        {
            "name": "map",
            "in": "query",
            "description": "png: a grey anomaly map of each picture; overlay: laid over the prepared picture.",
            "schema": {"type": "string", "enum": ["png", "overlay"]},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["picture"],
                    "properties": {
                        "picture": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "model": {"type": "string"},
                        "map": {"type": "string", "enum": ["png", "overlay"]},
                    },
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    },
}
_REFUSALS = {
    400: "No form, no picture, or an option that does not exist.",
    401: "No token, or a wrong one.",
    404: "No such model.",
    408: "The body came too slowly.",
    413: "Too many bytes, pixels or pictures.",
    415: "No picture of a known kind.",
    422: "The picture is damaged or cannot be prepared.",
    503: "Too much at the moment; try again.",
    504: "No verdict in time.",
}
#: By status.
JUDGE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The verdict. With Accept: image/png the map of the first picture, the verdict in headers.",
        "content": {"image/png": {}},
    },
    **{status: {"description": said} for status, said in _REFUSALS.items()},
}


def add_pages(app: FastAPI, counts: ServerMetrics) -> None:
    """Add `/`, `/docs`, `/healthz` and `/metrics`."""
    folder = files("raylab2f.cluster.serving") / "static"

    def serve(path: str, content: bytes, kind: str) -> None:
        async def page() -> Response:
            return Response(content, media_type=kind, headers=_HEADERS)

        app.add_api_route(path, page, include_in_schema=False)

    for path, (name, kind) in _STATIC.items():
        serve(path, (folder / name).read_bytes(), kind)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(_reference(app.openapi()), headers=_HEADERS)

    @app.get("/healthz")
    async def healthz() -> Response:
        """Whether the server lives; open to all."""
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counts, for Prometheus."""
        return Response(counts.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _reference(schema: dict[str, Any]) -> str:
    """The interface as a page."""
    parts = []
    for path, methods in schema["paths"].items():
        for method, described in methods.items():
            rows = "".join(
                f"<tr><td><code>{html.escape(one['name'])}</code></td><td>{html.escape(one['in'])}</td>"
                f"<td>{html.escape(one.get('description', ''))}</td></tr>"
                for one in described.get("parameters", [])
            )
            kinds = ", ".join(described.get("requestBody", {}).get("content", {}))
            answers = "".join(
                f"<tr><td>{html.escape(status)}</td><td>{html.escape(one['description'])}</td></tr>"
                for status, one in described["responses"].items()
                if status != "422" or one["description"] != "Validation Error"
            )
            parts.append(
                f"<section><h2><code>{method.upper()} {html.escape(path)}</code></h2>"
                f"<p>{html.escape(described.get('description', ''))}</p>"
                + (f"<table><caption>Parameters</caption>{rows}</table>" if rows else "")
                + (f"<p>Body: {html.escape(kinds)}</p>" if kinds else "")
                + f"<table><caption>Answers</caption>{answers}</table></section>"
            )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>raylab2f: interface</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/page.css"></head>'
        f"<body><main><h1>Interface</h1><p>{html.escape(schema['info']['description'])} As "
        '<a href="/openapi.json">OpenAPI</a>. <a href="/">Judge a picture</a>.</p>'
        f"{''.join(parts)}</main></body></html>"
    )
