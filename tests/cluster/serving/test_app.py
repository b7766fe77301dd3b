"""What the HTTP interface answers, in this process."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from served_models import encoded, good, served, spotted
from small_models import plate, small_judge
from starlette.testclient import TestClient

from raylab2f.cluster.serving.app import make_app
from raylab2f.cluster.serving.models import ModelTable
from raylab2f.cluster.serving.rules import ServingRules

TOKEN = "t0ken-of-the-tests"


@pytest.fixture(scope="module")
def judge():
    return small_judge()


@pytest.fixture
def client(judge):
    """client(token=None, **rules) -> a client of one model."""
    opened = []

    def make(token=None, models=("plates",), **rules):
        chosen = ServingRules(**rules)
        table = ModelTable([served(chosen, judge, name) for name in models])
        made = TestClient(make_app(table, chosen, token=token), base_url="http://localhost")
        opened.append(made.__enter__())
        return made

    yield make
    for made in opened:
        made.__exit__(None, None, None)


def post(client, *pictures, query="", **more):
    return client.post(
        f"/v1/judge{query}", files=[("picture", (f"{n}.png", p)) for n, p in enumerate(pictures)], **more
    )


def refusal(response, status):
    assert response.status_code == status, response.text
    sentence = response.json()["error"]
    assert sentence[0].isupper() or ":" in sentence
    assert sentence.endswith(".")
    return sentence


def test_a_verdict_is_that_of_the_model(client, judge):
    for number, spot in ((3, False), (105, True)):
        answer = post(client(), encoded(plate(number, spot=spot))).json()
        (opinion,) = judge.look([plate(number, spot=spot)])
        assert answer["score"] == judge.joint_score(opinion.scores)
        assert answer["threshold"] == judge.record.decision.threshold
        assert answer["margin"] == answer["score"] - answer["threshold"]
        assert answer["verdict"] == ("reject" if spot else "accept")
        assert answer["strangeness"] == opinion.strangeness
        assert answer["model"] == {"name": "plates", "digest": "0" * 64}
        assert answer["milliseconds"] > 0


def test_views_of_one_object_are_decided_together(client):
    served_here = client()
    answer = post(served_here, good(1), spotted(), good(2)).json()
    assert [view["name"] for view in answer["views"]] == ["0.png", "1.png", "2.png"]
    assert answer["score"] == max(view["score"] for view in answer["views"])
    assert answer["verdict"] == "reject"


def test_a_body_may_be_the_picture(client):
    response = client().post("/v1/judge", content=good(), headers={"Content-Type": "image/png"})
    assert response.json() == {**post(client(), good()).json(), "milliseconds": response.json()["milliseconds"]} | {
        "views": response.json()["views"]
    }


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM"])
def test_kinds_of_pictures(client, kind):
    assert post(client(), encoded(plate(1), kind)).status_code == 200


def test_what_is_unfamiliar_is_not_accepted_unless_that_is_ignored(client):
    # Twice as large as all pictures of the evaluation.
    large = encoded(plate(1, size=(192, 192)))
    answer = post(client(), large).json()
    assert answer["score"] < answer["threshold"]
    assert answer["verdict"] == "review"
    assert any("height" in reason for reason in answer["unfamiliar"])
    ignored = post(client(unfamiliar="ignore"), large).json()
    assert ignored["verdict"] == "accept"
    assert ignored["unfamiliar"] == answer["unfamiliar"]


def test_maps(client, judge):
    (opinion,) = judge.look([plate(100, spot=True)])
    here = client()
    view = post(here, spotted(), query="?map=png").json()["views"][0]
    grey = np.asarray(Image.open(io.BytesIO(base64.b64decode(view["map"]["png"]))))
    low, high = view["map"]["low"], view["map"]["high"]
    assert np.abs(low + grey / 255.0 * (high - low) - opinion.map).max() <= (high - low) / 255
    assert view["map"]["regions"]
    picture = post(here, spotted(), headers={"Accept": "image/png"})
    assert picture.headers["X-Raylab2f-Verdict"] == "reject"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture.content))), grey)
    overlay = post(here, spotted(), query="?map=overlay", headers={"Accept": "image/png"})
    assert Image.open(io.BytesIO(overlay.content)).mode == "RGB"
    assert "map is one of png, overlay" in refusal(post(here, good(), query="?map=gif"), 400)


def test_models_are_asked_for_by_name(client):
    here = client(models=("one", "two"))
    assert post(here, good()).json()["model"]["name"] == "one"
    assert post(here, good(), query="?model=two").json()["model"]["name"] == "two"
    assert post(here, good(), data={"model": "two"}).json()["model"]["name"] == "two"
    assert [one["name"] for one in here.get("/v1/models").json()["models"]] == ["one", "two"]
    assert here.get("/v1/model").json()["record"]["detector"] == "mahalanobis"
    assert here.get("/v1/models/two", headers={"Accept": "text/markdown"}).text == "# plates\n"
    assert "one, two" in refusal(post(here, good(), query="?model=three"), 404)


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "a%00b", "x" * 3000, "%ff%fe"])
def test_names_of_models_lead_nowhere(client, name):
    here = client()
    assert here.get(f"/v1/models/{name}").status_code == 404
    refusal(post(here, good(), query=f"?model={name}"), 404)


def test_what_is_no_picture_is_refused_in_a_sentence(client):
    here = client(pixel_limit=100_000, max_bytes=200_000)
    assert "is empty" in refusal(post(here, b""), 400)
    assert "is no PNG" in refusal(post(here, b"this is no picture"), 415)
    assert "is no PNG" in refusal(post(here, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), 415)
    assert "truncated or damaged" in refusal(post(here, encoded(plate(1), "JPEG")[:-700]), 422)
    assert "--pixel-limit" in refusal(post(here, encoded(np.zeros((400, 400, 3), np.uint8))), 413)
    assert "--max-bytes" in refusal(post(here, bytes(300_000)), 413)
    refusal(here.post("/v1/judge", content=b"", headers={"Content-Type": "image/png"}), 400)
    refusal(here.post("/v1/judge", json={"a": 1}), 415)
    refusal(here.post("/v1/judge", data={"model": "plates"}, files={}), 415)
    refusal(here.post("/v1/judge", content=b"x", headers={"Content-Type": "multipart/form-data"}), 400)
    refusal(here.get("/v1/judge"), 405)
    refusal(here.get("/nowhere"), 404)
    assert post(here, good()).status_code == 200


def test_a_form_of_too_many_parts_is_refused(client):
    here = client(max_views=4)
    refusal(post(here, *[good()] * 5), 413)
    refusal(post(here, *[b"x"] * 1000), 413)
    refusal(here.post("/v1/judge", data={f"f{n}": "x" for n in range(1000)}, files={"picture": good()}), 413)
    assert post(here, *[good()] * 4).status_code == 200


def test_a_form_that_is_none_is_told_how_to_be_one(client):
    response = client().post("/v1/judge", content=b"x", headers={"Content-Type": "multipart/form-data"})
    said = refusal(response, 400)
    assert "multipart/form-data with a boundary" in said
    assert "at most" not in said


@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/models", "/metrics"])
def test_who_only_looks_whether_it_is_there_is_answered(client, path):
    assert client().head(path).status_code == 200
    assert client().head("/v1/judge").status_code == 405
    assert client(token=TOKEN).head("/v1/models").status_code == 401


def test_one_bad_picture_is_not_the_others(client):
    here = client()
    refusal(post(here, good(), b"text"), 415)
    assert post(here, good(), good(2)).status_code == 200


def test_a_token_is_asked_for_everywhere_but_on_empty_pages(client):
    here = client(token=TOKEN)
    for path in ("/v1/models", "/v1/model", "/metrics", "/v1/models/plates", "/nowhere"):
        assert "Bearer" in refusal(here.get(path), 401)
        assert refusal(here.get(path, headers={"Authorization": f"Bearer {TOKEN}x"}), 401)
    for header in (f"Basic {TOKEN}", "Bearer", "Bearer ÿ".encode("latin-1"), TOKEN):
        response = post(here, good(), headers={"Authorization": header})
        refusal(response, 401)
        assert response.headers["WWW-Authenticate"] == "Bearer"
    for path in ("/", "/page.js", "/page.css", "/docs", "/openapi.json", "/healthz"):
        assert here.get(path).status_code == 200
    assert post(here, good(), headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_without_a_token_only_local_names_are_answered(client):
    here = client()
    for host in ("evil.example", "evil.example:8700", "localhost.evil.example", ""):
        refusal(here.get("/healthz", headers={"Host": host}), 421)
    for host in ("localhost:8700", "127.0.0.1", "[::1]:8700", "LOCALHOST"):
        assert here.get("/healthz", headers={"Host": host}).status_code == 200


def test_metrics_count_what_was_answered(client):
    here = client()
    post(here, good(), spotted())
    post(here, b"text")
    said = here.get("/metrics").text
    assert 'raylab2f_requests_total{model="plates",status="200",verdict="reject"} 1.0' in said
    assert 'raylab2f_requests_total{model="plates",status="415",verdict=""} 1.0' in said
    assert "raylab2f_request_seconds_count 2.0" in said
    assert "raylab2f_batch_pictures_sum 2.0" in said
    assert "raylab2f_requests_in_flight 0.0" in said


def test_pages_fetch_nothing_from_elsewhere(client):
    here = client()
    for path in ("/", "/page.js", "/page.css", "/docs"):
        response = here.get(path)
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert "://" not in response.text
    for path in ("/v1/judge", "/v1/models/{name}", "/metrics"):
        assert path in here.get("/docs").text
    schema = here.get("/openapi.json").json()
    assert set(schema["paths"]["/v1/judge"]["post"]["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    assert {"413", "415", "503"} <= set(schema["paths"]["/v1/judge"]["post"]["responses"])


def test_what_takes_too_long_is_not_waited_for(client, monkeypatch):
    import time

    here = client(timeout=0.3)
    monkeypatch.setattr("raylab2f.cluster.serving.judging.picture_of", lambda *a: time.sleep(1.0) or plate(0))
    assert "--timeout" in refusal(post(here, good()), 504)
