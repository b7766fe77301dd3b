"""The paper's experiments as programs; `jobs/` starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown

from raylab2f.cli.options import (
    AddressOption,
    AnomalousOption,
    CacheOption,
    CategoryOption,
    DataOption,
    LayoutOption,
    NominalOption,
    ObjectIdOption,
    PixelLimitOption,
    SkipUnreadableOption,
    ViewsOption,
    data_settings,
    default_cache,
    parse_size,
    refuse_repeats,
)
from raylab2f.cli.place_options import PLACE
from raylab2f.files.places import join

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["experiment_app"]


def experiment_app(name: str) -> typer.Typer:
    """The program of one experiment of `raylab2f.workflows.experiments`: `table1`, `rotation`, ..."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command()
    def run(
        data: DataOption = None,
        layout: LayoutOption = "auto",
        category: CategoryOption = None,
        nominal: NominalOption = [],
        anomalous: AnomalousOption = [],
        object_id: ObjectIdOption = None,
        views: ViewsOption = None,
        skip_unreadable: SkipUnreadableOption = False,
        pixel_limit: PixelLimitOption = 100_000_000,
        detector: Annotated[list[str], typer.Option(help="Repeatable.")] = ["csflow", "glass"],
        preset: Annotated[str, typer.Option(help="demo, fast or paper.")] = "demo",
        folds: Annotated[int, typer.Option(min=1)] = 3,
        epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the preset's.")] = None,
        size: Annotated[str | None, typer.Option(help="Instead of the preset's: N or HEIGHTxWIDTH.")] = None,
        seed: Annotated[int, typer.Option(min=0)] = 0,
        out: Annotated[
            str | None, typer.Option("--out", **PLACE, help="Folder or URI for results.", show_default="runs/NAME")
        ] = None,
        cache: CacheOption = None,
        address: AddressOption = None,
    ) -> None:
        """Run the experiment; without --data on rendered pictures. What is finished in --out is not done again."""
        refuse_repeats("--detector", detector)
        from raylab2f.reporting import Display
        from raylab2f.workflows import experiments

        options = experiments.ExperimentOptions(
            data=data_settings(
                data, layout, category, nominal, anomalous, object_id, views, skip_unreadable, pixel_limit
            ),
            out=out or join("runs", name),
            cache=default_cache(cache),
            detectors=tuple(detector),
            preset=preset,
            folds=folds,
            epochs=epochs,
            size=None if size is None else parse_size(size),
            seed=seed,
            address=address,
        )
        experiment: Callable[[Any, Any], str] = getattr(experiments, name)
        console = Console()
        report = experiment(options, Display(console))
        console.print(Markdown(report))
        console.print(f"tables and figures in {options.out}", highlight=False, markup=False, soft_wrap=True)

    return app
