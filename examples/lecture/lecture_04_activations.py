r"""
4. Activation functions
=======================

Without a nonlinearity a stack of layers is one layer, because matrices multiply to a
matrix: :math:`W_2 (W_1 x + b_1) + b_2 = (W_2 W_1) x + (W_2 b_1 + b_2)`. The activation
is what makes depth worth having. These six are the classic ones:

.. list-table::
   :widths: 30 45 25

   * - linear
     - :math:`y = z`
     - ``"identity"``
   * - rectified linear unit, ReLU
     - :math:`y = \max(0, z)`
     - ``"relu"``
   * - soft ReLU
     - :math:`y = \log(1 + e^z)`
     - ``"softplus"``
   * - hard threshold
     - :math:`y = 1` if :math:`z > 0`, else :math:`0`
     - ``"hard_threshold"``
   * - logistic
     - :math:`y = 1 / (1 + e^{-z})`
     - ``"logistic"``
   * - hyperbolic tangent
     - :math:`y = (e^z - e^{-z}) / (e^z + e^{-z})`
     - ``"tanh"``
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from skmlp import MLPClassifier
from skmlp.activations import ACTIVATIONS
from skmlp.inspection import ActivationDisplay

# %%
# Solid is the function, dashed its slope, which is what training goes by. The slope is
# not written down anywhere: the engine derives it from the NumPy expression. The hard
# threshold is the odd one out. Its slope is 0 wherever it has one, so nothing below it
# could learn; in training this library lets the gradient pass where abs(z) <= 1, as if
# the step were a ramp there.

CLASSIC = ("identity", "relu", "softplus", "hard_threshold", "logistic", "tanh")
figure, axes = plt.subplots(2, 3, figsize=(10, 5.6), layout="constrained")
for name, place in zip(CLASSIC, axes.flat, strict=True):
    ActivationDisplay.from_activation(name, ax=place)
    place.set(title=name, ylim=(-1.6, 4.2))
plt.show()

# %%
# Two stacked layers with the linear activation are one linear classifier; with any other
# they are more.

X, y = make_moons(400, noise=0.15, random_state=0)
for name in CLASSIC:
    network = MLPClassifier(
        (16, 16),
        name,
        learning_rate="one_cycle",
        learning_rate_init=0.03,
        batch_size=25,
        max_iter=150,
        n_iter_no_change=np.inf,
        random_state=0,
    )
    print(f"{name:16}{network.fit(X, y).score(X, y):.3f}")

# %%
# Several are relatives of each other: the tangent is a logistic function, stretched and
# moved, and the soft ReLU has the logistic function as its slope, so that it is its
# integral, as the ReLU is the integral of the threshold.

z = np.linspace(-5, 5, 101)
np.testing.assert_allclose(np.tanh(z), 2 * ACTIVATIONS["logistic"](2 * z) - 1)
step = 1e-6
slope = (ACTIVATIONS["softplus"](z + step) - ACTIVATIONS["softplus"](z - step)) / (
    2 * step
)
np.testing.assert_allclose(slope, ACTIVATIONS["logistic"](z), atol=1e-8)
