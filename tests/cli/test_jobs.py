"""What the job commands print, with a dashboard of the test's own that answers like Ray's."""

import asyncio
import threading

import pytest
import ray
from typer.testing import CliRunner

from raylab2f.cli.app import app
from raylab2f.cluster.operations.jobs import _first_part
from raylab2f.errors import UserError

web = pytest.importorskip("aiohttp.web", reason="needs raylab2f[cluster]")

JOB = {
    "type": "SUBMISSION",
    "submission_id": "first",
    "status": "RUNNING",
    "message": "",
    "entrypoint": "raylab2f run-cv --object-id '[a-z]+[/a]'",
}


@pytest.fixture
def dashboard(monkeypatch):
    """The address of a dashboard that knows one job; it breaks off when the job's output is followed."""
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere/token")

    def answer(value):
        async def handler(request):
            return web.json_response(value)

        return handler

    async def tail(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("epoch 1\n")
        request.transport.abort()
        return socket

    server = web.Application()
    server.router.add_get("/api/version", answer({"version": "4", "ray_version": ray.__version__, "ray_commit": ""}))
    server.router.add_get("/api/jobs/", answer([JOB]))
    server.router.add_get("/api/jobs/first", answer(JOB))
    server.router.add_get("/api/jobs/first/logs/tail", tail)
    started, loop = threading.Event(), asyncio.new_event_loop()
    runner = web.AppRunner(server)

    def serve():
        loop.run_until_complete(runner.setup())
        loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=serve)
    thread.start()
    started.wait()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def run(*words):
    return CliRunner().invoke(app, words, env={"COLUMNS": "300"})


def test_commands_are_listed_as_they_are(dashboard):
    result = run("jobs", "list", "--address", dashboard)
    assert result.exit_code == 0
    assert JOB["entrypoint"] in result.output


def test_of_rays_message_on_a_failure_the_log_in_it_is_left_out():
    message = "Job entrypoint command failed with exit code 2, last available logs (truncated to 20,000 chars):\nerror"
    assert _first_part(message) == "Job entrypoint command failed with exit code 2"
    assert _first_part("Job was intentionally stopped.") == "Job was intentionally stopped"


def test_a_log_that_breaks_off_says_how_to_see_it_again(dashboard):
    result = run("jobs", "logs", "first", "--follow", "--address", dashboard)
    assert "epoch 1" in result.output
    assert isinstance(result.exception, UserError)
    assert "raylab2f jobs logs first --follow" in str(result.exception)


def test_what_the_cluster_refuses_is_said_in_a_sentence(dashboard):
    # It knows no such address.
    result = run("jobs", "stop", "first", "--address", dashboard)
    assert isinstance(result.exception, UserError)
    assert dashboard in str(result.exception)
