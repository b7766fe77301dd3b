"""The HTTP interface: FastAPI over whatever judges; knows nothing of Ray."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from raylab2f.cluster.serving import documents
from raylab2f.cluster.serving.access import Gate, RefusingResponse
from raylab2f.cluster.serving.bodies import ByteBudget, read_submission
from raylab2f.cluster.serving.judging import Answer
from raylab2f.cluster.serving.metrics import ServerMetrics
from raylab2f.cluster.serving.models import ModelTable, ServedModel
from raylab2f.cluster.serving.refusals import RefusalError
from raylab2f.cluster.serving.rules import ServingRules
from raylab2f.versions import version_of

__all__ = ["make_app"]

_MAPS = ("png", "overlay")
_RETRY = {"Retry-After": "1"}
_log = logging.getLogger("raylab2f.serving")


@dataclass
class _Told:
    """What the metrics are told of a request."""

    begun: float = field(default_factory=time.perf_counter)
    model: str = ""
    verdict: str = ""
    batches: tuple[int, ...] = ()


def make_app(
    table: ModelTable, rules: ServingRules, *, token: str | None = None, metrics: ServerMetrics | None = None
) -> ASGIApp:
    """The application.

    Arguments:
        table: the models; may change while the application runs.
        rules: limits on what clients send.
        token: that clients must show; `None`: none, and only local names of this machine are answered.
        metrics: what is counted goes there.
    """
    counts = metrics or ServerMetrics()
    budget = ByteBudget(rules.held_bytes)
    app = FastAPI(
        title="raylab2f",
        version=version_of("raylab2f") or "0",
        description="Verdicts on pictures by finalised models.",
        docs_url=None,
        redoc_url=None,
    )
    _add_judge(app, table, rules, budget, counts)
    _add_models(app, table)
    documents.add_pages(app, counts)

    @app.exception_handler(RefusalError)
    async def refused(request: Request, error: RefusalError) -> Response:
        return _refusing(error)

    @app.exception_handler(HTTPException)
    async def not_found(request: Request, error: HTTPException) -> Response:
        known = "see /docs for what there is"
        return RefusingResponse(error.status_code, f"{error.detail}; {known}.", error.headers)

    return Gate(app, token)


def _add_judge(app: FastAPI, table: ModelTable, rules: ServingRules, budget: ByteBudget, counts: ServerMetrics) -> None:
    @app.post("/v1/judge", openapi_extra=documents.JUDGE, responses=documents.JUDGE_RESPONSES)
    async def judge(request: Request) -> Response:
        """Judge one picture, or several pictures of one object."""
        told = _Told()
        counts.in_flight.inc()
        try:
            response = await _judged(request, table, rules, budget, told)
        except RefusalError as error:
            response = _refusing(error)
        except Exception:
            _log.exception("a request failed")
            response = RefusingResponse(500, "The server failed to judge this; its log says why.")
        finally:
            counts.in_flight.dec()
        seconds = time.perf_counter() - told.begun
        counts.answered(told.model, response.status_code, told.verdict, seconds, told.batches)
        return response


async def _judged(
    request: Request, table: ModelTable, rules: ServingRules, budget: ByteBudget, told: _Told
) -> Response:
    asked = request.query_params
    with ExitStack() as stack:
        # Before anything is read, where it can be known.
        _map_of(asked)
        table.find(asked.get("model"))
        share = stack.enter_context(budget.share())
        sent = await read_submission(request, rules, share)
        wanted = {**sent.fields, **asked}
        map_ = _map_of(wanted)
        as_picture = "image/png" in request.headers.get("accept", "")
        if as_picture and map_ is None:
            map_ = "png"
        model = stack.enter_context(table.using(wanted.get("model")))
        told.model = model.name
        try:
            answer = await asyncio.wait_for(model.judging.judge(sent.views, map_), rules.timeout)
        except (asyncio.TimeoutError, TimeoutError) as error:
            raise RefusalError(504, f"No verdict after {rules.timeout:g} seconds (--timeout); try again.") from error
    told.verdict, told.batches = answer.content["verdict"], answer.batches
    milliseconds = 1000 * (time.perf_counter() - told.begun)
    if as_picture:
        return _as_picture(answer, model)
    for view, png in zip(answer.content["views"], answer.maps, strict=False):
        view["map"] = {"png": base64.b64encode(png).decode(), **view["map"]}
    shown = {"name": model.name, "digest": model.digest}
    return JSONResponse({**answer.content, "model": shown, "milliseconds": round(milliseconds, 1)})


def _map_of(wanted: Mapping[str, str]) -> str | None:
    value = wanted.get("map") or None
    if value is not None and value not in _MAPS:
        raise RefusalError(400, f"There is no map of this kind; map is one of {', '.join(_MAPS)}, or left out.")
    return value


def _as_picture(answer: Answer, model: ServedModel) -> Response:
    """The map of the first view, with the verdict in headers."""
    content = answer.content
    described = content["views"][0]["map"]
    headers = {
        "X-Raylab2f-Verdict": content["verdict"],
        "X-Raylab2f-Score": repr(content["score"]),
        "X-Raylab2f-Model": f"{model.name} {model.digest}",
        "X-Raylab2f-Map": f"{described['low']!r} {described['high']!r}",
    }
    return Response(answer.maps[0], media_type="image/png", headers=headers)


def _refusing(error: RefusalError) -> RefusingResponse:
    return RefusingResponse(error.status, error.sentence, _RETRY if error.status == 503 else None)


def _add_models(app: FastAPI, table: ModelTable) -> None:
    @app.get("/v1/models")
    async def models() -> Response:
        """The models that are served; the first one judges where a request names none."""
        listed = [{"name": one.name, "digest": one.digest, "detector": one.record["detector"]} for one in table.all()]
        return JSONResponse({"models": listed})

    @app.get("/v1/model")
    async def first_model(request: Request, model: str | None = None) -> Response:
        """What a model is: its record, or with Accept: text/markdown its card."""
        return _described(request, table.find(model))

    @app.get("/v1/models/{name}")
    async def one_model(request: Request, name: str) -> Response:
        """The same of a model by its name."""
        return _described(request, table.find(name))


def _described(request: Request, model: ServedModel) -> Response:
    if "text/markdown" in request.headers.get("accept", ""):
        return Response(model.card, media_type="text/markdown; charset=utf-8")
    return JSONResponse({"name": model.name, "digest": model.digest, "record": model.record})
