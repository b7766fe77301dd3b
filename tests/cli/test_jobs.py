"""What the job commands print, with a dashboard of the test's own that answers like Ray's."""

import asyncio
import os
import threading

import pytest
import ray
from typer.testing import CliRunner

from raylab2f.cli.app import app
from raylab2f.cluster.operations.jobs import _first_part
from raylab2f.cluster.token import forget_token
from raylab2f.errors import UserError

web = pytest.importorskip("aiohttp.web", reason="needs raylab2f[cluster]")

JOB = {
    "type": "SUBMISSION",
    "submission_id": "first",
    "status": "RUNNING",
    "message": "",
    "entrypoint": "raylab2f run-cv --object-id '[a-z]+[/a]'",
}
OVER = {**JOB, "submission_id": "over", "status": "STOPPED", "entrypoint": "raylab2f run-cv --out /shared/run"}


@pytest.fixture
def dashboard(monkeypatch):
    """The address of a dashboard that knows two jobs; it breaks off when the output of the first is followed."""
    # Ray keeps for the whole process whether it shows tokens; one that nobody asks for does no harm.
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    forget_token()

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

    async def taken(request):
        name = (await request.json())["submission_id"]
        return web.Response(status=500, text=f"Job with submission_id {name} already exists.")

    server = web.Application()
    server.router.add_get("/api/version", answer({"version": "4", "ray_version": ray.__version__, "ray_commit": ""}))
    server.router.add_get("/api/jobs/", answer([JOB]))
    server.router.add_post("/api/jobs/", taken)
    server.router.add_get("/api/jobs/first", answer(JOB))
    server.router.add_get("/api/jobs/over", answer(OVER))
    server.router.add_post("/api/jobs/over/stop", answer({"stopped": True}))
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
    forget_token()


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
    assert f"raylab2f jobs logs first --address {dashboard} --follow" in str(result.exception)


def test_what_the_cluster_refuses_is_said_in_a_sentence(dashboard):
    # It knows no such address.
    result = run("jobs", "stop", "first", "--address", dashboard)
    assert isinstance(result.exception, UserError)
    assert dashboard in str(result.exception)


def test_an_address_given_wins_over_those_of_the_environment(dashboard, monkeypatch):
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    result = run("jobs", "list", "--address", dashboard)
    assert result.exit_code == 0, result.exception
    assert os.environ["RAY_ADDRESS"] == "http://127.0.0.1:1"


@pytest.mark.parametrize("name", ["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"])
def test_what_to_do_next_works_in_a_shell_without_the_environments_address(dashboard, monkeypatch, name):
    monkeypatch.setenv(name, dashboard)
    assert f"--address {dashboard}" in str(run("jobs", "logs", "first", "--follow").exception)
    stopped = run("jobs", "stop", "over")
    assert f"raylab2f submit --address {dashboard} -- run-cv --resume --out /shared/run" in stopped.output


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://head", "http://HEAD:8265"),
        ("json://head", "http://HEAD:8265"),
        ("", "HOST:PORT"),
        ("{}/elsewhere", "no Ray dashboard"),
    ],
)
def test_what_is_no_address_of_a_cluster_is_said(dashboard, address, said):
    address = address.format(dashboard)
    result = run("jobs", "list", "--address", address)
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith(f"--address {address}: ")
    assert said in str(result.exception)


@pytest.mark.parametrize("name", ["", "first?x", "first#x", "x/../first", "other"])
def test_a_name_that_no_job_has_reaches_no_other_job(dashboard, name):
    result = run("jobs", "stop", name, "--address", dashboard)
    assert isinstance(result.exception, UserError)
    assert f"the cluster knows no job {name};" in str(result.exception)


def test_a_name_that_is_taken_is_said_whatever_is_in_it(dashboard):
    sent = ["submit", "--address", dashboard, "--installed", "--name"]
    assert "choose another" in str(run(*sent, "run-404", "--", "datasets", "list").exception)
    for name in ("a/b", "a b", "ä", ""):
        said = str(run(*sent, name, "--", "datasets", "list").exception)
        assert said.startswith(f"--name {name}: give"), said
