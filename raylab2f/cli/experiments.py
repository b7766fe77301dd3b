"""The paper's experiments as programs; `jobs/` starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markdown import Markdown

from raylab2f.cli.composition import command
from raylab2f.cli.lines import print_lines
from raylab2f.files.places import join
from raylab2f.options.declaration import Option
from raylab2f.options.pictures import DataOption, Pictures
from raylab2f.options.places import Workplace, default_cache
from raylab2f.options.preparation import parse_size
from raylab2f.options.runs import refuse_repeats
from raylab2f.reporting.printing import plain_console

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["experiment_app"]


def experiment_app(name: str) -> typer.Typer:
    """The program of one experiment of `raylab2f.workflows.experiments`: `table1`, `rotation`, ..."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command()
    @command
    def run(
        *,
        data: DataOption = None,
        pictures: Pictures,
        detector: Annotated[tuple[str, ...], Option("Repeatable.")] = ("csflow", "glass"),
        preset: Annotated[str, Option("demo, fast or paper.")] = "demo",
        folds: Annotated[int, Option(minimum=1)] = 3,
        epochs: Annotated[int | None, Option("Instead of the preset's.", minimum=1)] = None,
        size: Annotated[str | None, Option("Instead of the preset's: N or HEIGHTxWIDTH.")] = None,
        seed: Annotated[int, Option(minimum=0)] = 0,
        out: Annotated[str | None, Option("Folder or URI for results.", kind="place", usual="runs/NAME")] = None,
        workplace: Workplace,
    ) -> None:
        """Run the experiment; without --data on rendered pictures. What is finished in --out is not done again."""
        refuse_repeats("--detector", detector)
        from raylab2f.reporting import Display
        from raylab2f.workflows import experiments

        options = experiments.ExperimentOptions(
            data=pictures.settings(data),
            out=out or join("runs", name),
            cache=default_cache(workplace.cache),
            detectors=detector,
            preset=preset,
            folds=folds,
            epochs=epochs,
            size=None if size is None else parse_size(size),
            seed=seed,
            address=workplace.address,
        )
        experiment: Callable[[Any, Any], str] = getattr(experiments, name)
        console = plain_console()
        report = experiment(options, Display(console))
        console.print(Markdown(report))
        print_lines(console, f"tables and figures in {options.out}")

    return app
