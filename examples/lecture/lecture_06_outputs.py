r"""
6. The output goes by the problem
=================================

Hidden layers are a matter of taste; the last one is not. What it computes must be a legal
answer, and its loss must fit what the answer means:

.. list-table::
   :header-rows: 1
   :widths: 28 36 36

   * - problem
     - output
     - loss
   * - a number
     - linear, :math:`\hat y = z`
     - :math:`(z - y)^2 / 2`
   * - two classes
     - logistic, :math:`p = 1 / (1 + e^{-z})`
     - :math:`-y \log p - (1 - y) \log(1 - p)`
   * - several classes
     - softmax, :math:`p_k = e^{z_k} / \sum_j e^{z_j}`
     - :math:`-\log p_y`

All three have the same gradient with respect to z: the answer minus the truth. In this
library the pair of both is a *head*, chosen by the target or given as ``head=``.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs, make_moons

from skmlp import MLPClassifier, MLPRegressor

rng = np.random.default_rng(0)
COMMON = {"solver": "lbfgs", "alpha": 0.3, "max_iter": 5000, "random_state": 0}

x = np.sort(rng.uniform(-3, 3, 120))[:, None]
t = np.sin(2 * x[:, 0]) + 0.4 * x[:, 0] + rng.normal(0, 0.2, 120)
number = MLPRegressor((20,), "tanh", **COMMON).fit(x, t)

A, a = make_moons(200, noise=0.2, random_state=0)
two = MLPClassifier((20,), "tanh", **COMMON).fit(A, a)

B, b = make_blobs(200, centers=3, cluster_std=1.8, random_state=8)
B = (B - B.mean(axis=0)) / B.std(axis=0)
several = MLPClassifier((20,), "tanh", **COMMON).fit(B, b)

for network in (number, two, several):
    print(type(network).__name__, network.out_activation_, network.head_)

# %%
# Probabilities of several classes sum to 1, and shifting all z changes nothing. With two
# classes, the softmax of (0, z) is the logistic function of z.

np.testing.assert_allclose(several.predict_proba(B).sum(axis=1), 1)
z = np.linspace(-4, 4, 9)
softmax = np.exp(z) / (np.exp(0) + np.exp(z))
np.testing.assert_allclose(softmax, 1 / (1 + np.exp(-z)))

# %%
# The picture: a curve, a surface of one probability, and regions where each of three
# wins.

figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
axes[0].scatter(x, t, s=10, color="#0072B2")
grid = np.linspace(-3, 3, 200)[:, None]
axes[0].plot(grid, number.predict(grid), color="#D55E00")
axes[0].set_title("linear: a number")


def plane(data):
    low, high = data.min(axis=0) - 0.4, data.max(axis=0) + 0.4
    return np.meshgrid(*np.linspace(low, high, 120).T)


xx, yy = plane(A)
p = two.predict_proba(np.c_[xx.ravel(), yy.ravel()])[:, 1].reshape(xx.shape)
image = axes[1].contourf(xx, yy, p, levels=np.linspace(0, 1, 11), cmap="cividis")
axes[1].scatter(*A.T, c=a, cmap="cividis", edgecolor="white", linewidth=0.5, s=18)
figure.colorbar(image, ax=axes[1], label="p")
axes[1].set_title("logistic: two classes")

COLORS = np.array([[0, 0.447, 0.698], [0.902, 0.624, 0], [0, 0.62, 0.451]])
xx, yy = plane(B)
p = several.predict_proba(np.c_[xx.ravel(), yy.ravel()])
axes[2].imshow(
    (p @ COLORS).reshape(*xx.shape, 3),
    origin="lower",
    extent=(xx.min(), xx.max(), yy.min(), yy.max()),
    aspect="auto",
)
axes[2].scatter(*B.T, c=COLORS[b], edgecolor="black", linewidth=0.5, s=18)
axes[2].set_title("softmax: several classes")
plt.show()

# %%
# There are more kinds of answers than three: counts, grades, quantiles, whole
# distributions. :doc:`/heads` says which head is for which question.
