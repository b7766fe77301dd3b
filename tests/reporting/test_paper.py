"""Figures for a paper, of parts with any names."""

import warnings

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from raylab2f.reporting.paper import _csv, _recall


def test_names_of_a_sentences_length_leave_room_for_the_figure():
    rows = [{"part": part, "mean": 0.5, "low": 0.3, "high": 0.7} for part in ("dent", "scratch " * 40)]
    figure = Figure(figsize=(3.4, 2.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _recall(axes, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.draw_without_rendering()
    assert axes.get_position().width > 0.3


def test_nothing_in_a_table_is_a_formula_to_a_spreadsheet():
    rows = [["=1+1", -0.5], ["@sum", 1], ["a=b", None]]
    assert _csv(["part", "mean"], rows).splitlines() == ["part,mean", "'=1+1,-0.5", "'@sum,1", "a=b,"]
