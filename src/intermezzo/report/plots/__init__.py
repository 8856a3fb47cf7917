"""The report's figures as matplotlib functions: each takes a DataFrame and an Axes, and returns the Axes.

    import pandas as pd
    from intermezzo.report.plots import plot_forest, style

    rare = pd.read_csv("results/tables/rare.tsv", sep="\\t")
    ax = plot_forest(rare[rare["target"] == "mean"])
    ax.figure.savefig("forest.pdf")

The frames are those of `report.differences` and `report.accounts`, or the tables of the report read back with pandas
(the learning curves have no table). Without `ax` a function makes a new figure, as wide as a column of a two-column
paper (heat maps: as the page), in the house style with text of 7 to 8 points. With `ax` it draws in the style that is
active: `with style():` is the house's. Importing this changes no setting of matplotlib.
"""

from intermezzo.report.plots.allocation import plot_allocation
from intermezzo.report.plots.costs import plot_costs
from intermezzo.report.plots.forest import plot_forest
from intermezzo.report.plots.heatmap import plot_heatmap
from intermezzo.report.plots.languages import plot_languages
from intermezzo.report.plots.learning_curves import plot_learning_curves
from intermezzo.report.plots.methods import plot_methods, plot_shots
from intermezzo.report.plots.style import COLUMN_INCHES, PAGE_INCHES, style

__all__ = [
    "COLUMN_INCHES",
    "PAGE_INCHES",
    "plot_allocation",
    "plot_costs",
    "plot_forest",
    "plot_heatmap",
    "plot_languages",
    "plot_learning_curves",
    "plot_methods",
    "plot_shots",
    "style",
]
