"""
Which head?
===========

A head says what the outputs of a network mean. Which one is wanted follows from the
target, and from what is to be known of it: follow the questions from the left. The names
on the right are what ``head=`` takes; every one of them is here.
"""

import matplotlib.pyplot as plt

from skmlp.heads import HEADS

TREE = {
    "y is a number": {
        "one number is enough": {
            "its mean": "linear",
            "its median": "absolute_error",
            "a mean without the outliers": "huber",
        },
        "how far off may it be?": {
            "a normal error": "gaussian",
            "some errors are large": "laplace, student_t",
            "several peaks, or skew": "gaussian_mixture",
            "chosen quantiles alone": "quantile",
        },
        "it is never negative": {
            "its logarithm is normal": "lognormal",
            "its error grows with it": "gamma",
            "many are exactly 0": "tweedie",
        },
    },
    "y is a count": {
        "it varies as its mean": "poisson",
        "it varies more": "negative_binomial",
    },
    "y is a class": {
        "one of several": {
            "probabilities": "softmax",
            "hard ones matter most": "focal",
            "a margin is enough": "hinge",
        },
        "in an order": "ordinal",
        "yes or no; several labels": {
            "by likelihood": "logistic",
            "by squared error": "brier",
        },
    },
}


def leaves(tree):
    """Return the names at the ends of the tree."""
    if isinstance(tree, str):
        return tree.split(", ")
    return [name for part in tree.values() for name in leaves(part)]


assert sorted(leaves(TREE)) == sorted(HEADS)

# %%
# Each question stands in the middle of its answers.

COLUMNS = (0.0, 2.4, 5.4, 9.0)


def drawn(axes, tree, depth, row):
    """Draw a part of the tree from a row on; return its height and the next row."""
    heights = []
    for words, below in tree.items():
        if isinstance(below, str):
            height, end = row, COLUMNS[-1]
            axes.text(end, row, below, family="monospace", weight="bold", va="center")
            row += 1
        else:
            height, row = drawn(axes, below, depth + 1, row)
            end = None
        heights.append(height)
        axes.text(
            COLUMNS[depth],
            height,
            words,
            va="center",
            bbox={"boxstyle": "round", "facecolor": "#dcecf7", "edgecolor": "#0072b2"},
            zorder=2,
        )
        if end is not None:
            axes.plot(
                [COLUMNS[depth], end - 0.1], [height, height], color="0.6", zorder=1
            )
    middle = (heights[0] + heights[-1]) / 2
    if depth:
        for height in heights:
            axes.plot(
                [COLUMNS[depth - 1], COLUMNS[depth] - 0.3, COLUMNS[depth]],
                [middle, height, height],
                color="0.6",
                zorder=1,
            )
    return middle, row


figure, axes = plt.subplots(figsize=(10, 7), layout="constrained")
_, rows = drawn(axes, TREE, 0, 0)
axes.set(xlim=(-0.2, 12), ylim=(rows - 0.4, -0.6))
axes.axis("off")
plt.show()
