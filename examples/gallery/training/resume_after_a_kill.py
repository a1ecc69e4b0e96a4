"""
Going on after the power went out
=================================

``Checkpoint`` saves the whole state of a fit after each epoch. When the process is gone,
``resume`` goes on from the file, and ends, bit for bit, where the fit would have ended.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skmlp import MLPClassifier

SETTINGS = {"learning_rate": "one_cycle", "max_iter": 25, "random_state": 0}

# %%
# A process of its own fits, and is killed after the ninth epoch, without a chance to say
# good-bye.

SCRIPT = f"""
import os
from sklearn.datasets import load_digits
from skmlp import MLPClassifier
from skmlp.callbacks import Callback, Checkpoint

class PowerCut(Callback):
    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id == 8:
            os._exit(1)

X, y = load_digits(return_X_y=True)
model = MLPClassifier(**{SETTINGS})
model.set_callbacks(Checkpoint("fit.npz"), PowerCut()).fit(X / 16, y)
"""
X, y = load_digits(return_X_y=True)
with tempfile.TemporaryDirectory() as folder:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, check=False)
    left = [path.name for path in Path(folder).iterdir()]
    print(f"exit code {done.returncode}; left behind: {left}")
    resumed = MLPClassifier(**SETTINGS).resume(Path(folder) / "fit.npz", X / 16, y)

# %%
# The fit that nothing happened to:

whole = MLPClassifier(**SETTINGS).fit(X / 16, y)
assert all(map(np.array_equal, resumed.coefs_, whole.coefs_))
assert resumed.loss_curve_ == whole.loss_curve_

figure, axes = plt.subplots(layout="constrained")
epochs = np.arange(1, whole.n_iter_ + 1)
axes.semilogy(epochs, whole.loss_curve_, color="0.8", linewidth=6, label="undisturbed")
axes.semilogy(epochs[:9], resumed.loss_curve_[:9], color="#D55E00", label="killed")
axes.semilogy(epochs[8:], resumed.loss_curve_[8:], color="#0072B2", label="resumed")
axes.axvline(9, color="black", linestyle=":")
axes.set(xlabel="epoch", ylabel="loss")
axes.legend()
plt.show()
