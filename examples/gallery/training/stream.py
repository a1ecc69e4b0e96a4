"""
A stream that does not fit into memory
======================================

``partial_fit`` learns from one part of the data after the other. Half-way the world
changes: what used to be the boundary turns by a quarter, and the network follows, because
it never stops learning. It is judged on each part *before* it learns from it.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmlp import MLPClassifier


def parts(n_parts=240, size=200):
    """Yield parts of a stream, as a reader of files would."""
    rng = np.random.default_rng(0)
    for i in range(n_parts):
        turn = 0 if i < n_parts // 2 else np.pi / 2
        x = rng.normal(size=(size, 2))
        u = x @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        yield x, (u[:, 0] > np.sin(2 * u[:, 1])).astype(int)


network = MLPClassifier((32, 32), learning_rate_init=0.005, random_state=0)
accuracy = []
for x, y in parts():
    if accuracy:
        accuracy.append(network.score(x, y))
    else:
        accuracy.append(0.5)  # nothing has been learned yet
    network.partial_fit(x, y, classes=[0, 1])

# %%
smooth = np.convolve(accuracy, np.full(8, 1 / 8), mode="valid")
figure, axes = plt.subplots(layout="constrained")
axes.plot(accuracy, ".", color="0.7", label="one part of 200 rows")
axes.plot(np.arange(7, 240), smooth, color="#0072B2", label="mean of eight")
axes.axvline(120, color="#D55E00", linestyle="--", label="the world turns")
axes.set(xlabel="part of the stream", ylabel="accuracy before learning from it")
axes.legend(loc="lower right")
plt.show()
print(f"{network.t_} samples seen")
