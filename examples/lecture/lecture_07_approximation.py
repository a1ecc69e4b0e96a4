r"""
7. Multilayer networks are universal approximators
==================================================

Given enough units, a network comes as close as one likes to any continuous function on a
bounded region. With one hidden layer below the output, almost any nonlinearity will do:
all that are not polynomials (Cybenko 1989; Leshno, Lin, Pinkus and Schocken 1993). A
layer of radial basis functions is a set of bumps already, and sums of them suffice (Park
and Sandberg 1991).

Why is seen in one dimension. Three ReLUs make a bump, a *hat* of width 2d around c,

.. math:: \Lambda(x) = \frac{r(x - c + d) - 2 r(x - c) + r(x - c - d)}{d},
          \qquad r(z) = \max(0, z),

and a sum of hats, each as high as the function is at its center, is the function's
polygon. Its error falls with the square of the distance between centers.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmlp import MLPRegressor


def wanted(x):
    return np.sin(3 * x) + 0.5 * np.cos(7 * x)


x = np.linspace(-2, 2, 801)
X = x[:, None]
y = wanted(x)

# %%
# A network that nobody trained
# -----------------------------
# ``coefs_`` and ``intercepts_`` are the parameters, and whoever sets them sets the
# network. A hat is three hidden units; neighbors share theirs, so that a polygon of m
# segments needs m units.


def built(segments):
    knots = np.linspace(-2, 2, segments + 1)
    slopes = np.diff(wanted(knots)) / np.diff(knots)
    bends = np.diff(slopes, prepend=0)  # by how much the slope changes at each knot
    network = MLPRegressor((segments,), solver="lbfgs", max_iter=5000, random_state=0)
    network.fit(X[::100], y[::100])  # whatever it learns is replaced
    network.coefs_ = [np.ones((1, segments)), bends[:, None]]
    network.intercepts_ = [-knots[:-1], wanted(knots[:1])]
    return network


# %%
# Widths, and errors
# ------------------
# Beside the networks that are built stand networks that are trained, with ReLUs and with
# radial basis functions. Each is the best of three starts.

widths = [4, 8, 16, 32, 64]
errors = {"ReLU, built": [], "ReLU, trained": [], "RBF, trained": []}
for width in widths:
    errors["ReLU, built"].append(np.abs(built(width).predict(X) - y).max())
    for name, activation in (("ReLU, trained", "relu"), ("RBF, trained", "rbf")):
        fits = [
            MLPRegressor(
                (width,),
                activation,
                solver="lbfgs",
                alpha=0,
                tol=1e-9,
                max_iter=3000,
                max_fun=6000,
                random_state=seed,
            ).fit(X[::2], y[::2])
            for seed in range(3)
        ]
        errors[name].append(min(np.abs(fit.predict(X) - y).max() for fit in fits))
for name, found in errors.items():
    print(f"{name:16}", *(f"{error:9.1e}" for error in found))

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
r = np.maximum
c, d = 0.0, 0.5
parts = [r(x - c + d, 0), -2 * r(x - c, 0), r(x - c - d, 0)]
for part, style in zip(parts, (":", "--", "-."), strict=True):
    axes[0].plot(x, part / d, linestyle=style, color="#0072B2", linewidth=1)
axes[0].plot(x, sum(parts) / d, color="#D55E00", linewidth=2)
axes[0].set(title="a hat of three ReLUs", xlim=(-1, 1), ylim=(-2, 2.5), xlabel="x")
axes[1].plot(x, y, color="black", label="wanted")
axes[1].plot(x, built(8).predict(X), color="#E69F00", label="8 units")
axes[1].plot(x, built(16).predict(X), "--", color="#0072B2", label="16 units")
axes[1].set(title="built of hats", xlabel="x")
axes[1].legend()
for (name, found), marker in zip(errors.items(), "os^", strict=True):
    axes[2].loglog(widths, found, marker=marker, label=name)
axes[2].set_xticks(widths, widths)
axes[2].minorticks_off()
axes[2].set(title="largest error", xlabel="hidden units")
axes[2].legend()
plt.show()

# %%
# That there is such a network does not say that training finds it, nor that a few data
# points determine it: wide is easy, and learned is another matter.
