"""`raylab2f cluster`: its token, and a look at it before it is trusted with a long run."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from raylab2f.cli.composition import command
from raylab2f.options.declaration import Option
from raylab2f.options.places import Workplace, default_cache
from raylab2f.plugins import trust
from raylab2f.reporting.printing import plain_console
from raylab2f.reporting.whole_tables import print_table

__all__ = ["cluster_app"]

cluster_app = typer.Typer(no_args_is_help=True, help="The cluster itself: token, doctor.")


@cluster_app.callback()
def _cluster() -> None:
    pass


@cluster_app.command("token")
def token() -> None:
    """Make the token without which nobody gets into a cluster, if there is none, and keep it from others.

    It is not printed. It lies in ~/.ray/auth_token, or in the file that RAY_AUTH_TOKEN_PATH names.
    """
    from raylab2f.cluster.token import keep_token

    plain_console().print(keep_token(), highlight=False, markup=False, soft_wrap=True)


@cluster_app.command("doctor")
@command
def doctor(
    workplace: Workplace,
    storage: Annotated[
        tuple[str, ...],
        Option("Another folder or URI that all nodes must share, such as --out's; repeatable.", kind="place"),
    ] = (),
    detector: Annotated[tuple[str, ...], Option("Whose weights must be there; repeatable.")] = ("glass", "csflow"),
    preset: Annotated[str, Option("demo, fast or paper.")] = "fast",
) -> None:
    """Examine every node: versions, storage, weights, GPUs, clocks, tokens. The exit code is 1 if anything is wrong."""
    from raylab2f.cluster.operations.doctor import examine_cluster
    from raylab2f.cluster.session import ray_session
    from raylab2f.detectors.registry import detector_class, preset_config
    from raylab2f.features import BackboneSpec

    trust(*detector)
    requests = [r for name in detector for r in detector_class(name).feature_requests(preset_config(name, preset))]
    backbones = list(dict.fromkeys(BackboneSpec(r.backbone, r.weights, r.layers) for r in requests))
    with ray_session(workplace.address):
        findings = examine_cluster([default_cache(workplace.cache), *storage], backbones)
    verdicts = {True: Text("ok", style="green"), False: Text("WRONG", style="bold red")}
    rows = [(finding.check, verdicts[finding.ok], finding.detail) for finding in findings]
    print_table(("check", "", "what"), rows, plain_console(), title="cluster doctor", left=range(3))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
