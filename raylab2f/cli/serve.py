"""`raylab2f serve`: verdicts of finalised models over HTTP."""

from __future__ import annotations

from raylab2f.cli.composition import command
from raylab2f.cli.lines import print_lines
from raylab2f.options.serving import ServedModelsOption, Serving
from raylab2f.reporting.printing import plain_console

__all__ = ["serve"]


@command
def serve(
    models: ServedModelsOption,
    serving: Serving,
) -> None:
    """Judge pictures that are sent over HTTP, until Ctrl-C or SIGTERM; a model whose folder changes is exchanged."""
    from raylab2f.workflows.serving import serve_models

    console = plain_console()
    serve_models(
        models,
        serving.rules(),
        host=serving.host,
        port=serving.port,
        token_file=serving.token_file,
        address=serving.address,
        say=lambda line: print_lines(console, line),
    )
