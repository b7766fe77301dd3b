"""A small model behind the HTTP application, in this process and without Ray; and its server on a free port."""

import io
from contextlib import contextmanager

from PIL import Image
from small_models import plate, small_judge

from raylab2f.cluster.serving.app import make_app
from raylab2f.cluster.serving.judging import LocalJudge
from raylab2f.cluster.serving.models import ModelTable, ServedModel
from raylab2f.cluster.serving.rules import ServingRules
from raylab2f.cluster.serving.server import bound_socket, serving


def encoded(picture, kind="PNG", **options):
    """The bytes of a picture's file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def good(number=0):
    return encoded(plate(number))


def spotted(number=100):
    return encoded(plate(number, spot=True))


def served(rules, judge=None, name="plates", digest="0" * 64):
    """A model as the application has it."""
    judge = judge or small_judge()
    return ServedModel(name, digest, judge.record.to_dict(), "# plates\n", LocalJudge(judge, rules))


@contextmanager
def running(rules=None, *models, token=None, host="127.0.0.1"):
    """(port, table) of a server in a thread of this process."""
    rules = rules or ServingRules()
    table = ModelTable(models or [served(rules)])
    listening = bound_socket(host, 0)
    with serving(make_app(table, rules, token=token), listening, 5.0):
        yield listening.getsockname()[1], table
