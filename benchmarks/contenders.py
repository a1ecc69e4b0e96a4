"""Who trains a network: every contender from the same weights, through the same batches, by Adam.

A contender is a function of a job, inputs and target; it returns a function that runs one whole
fit and returns what came of it. What cannot take part raises `NotHere` with the reason.

All start from the weights that scikit-learn draws and shuffle as it does, so what they end with can
be compared: `differences` does.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import sklearn.neural_network
from contest import NotHere
from networks import ALPHA, SEED, Job

import skmlp

try:  # here and not later, so that its threads are held from the start
    import torch
except ImportError:
    torch = None
try:
    import skorch
except ImportError:
    skorch = None

RATE = 1e-3  # of Adam, the default of all


class Trained(NamedTuple):
    """What a fit leaves: how many steps it took, and the weight matrices (inputs, outputs)."""

    steps: int
    weights: list[np.ndarray]


Fit = Callable[[], Trained]

# == estimators of scikit-learn's kind =============================================================


def estimator(package: Any, dtype: str, job: Job, X: Any, y: np.ndarray) -> Fit:
    """Fit the estimator of a package, skmlp or sklearn.neural_network."""
    if package is not skmlp and job.activation not in ("relu", "tanh", "logistic"):
        raise NotHere(f"it has no {job.activation}")
    kind = package.MLPRegressor if job.classes == 1 else package.MLPClassifier
    settings = {
        "hidden_layer_sizes": job.hidden,
        "activation": job.activation,
        "solver": job.solver,
        "alpha": ALPHA,
        "batch_size": job.batch,
        "max_iter": job.epochs,
        "tol": 0.0,
        "n_iter_no_change": job.epochs + 1,
        "random_state": SEED,
    }
    X = X.astype(dtype)

    def fit() -> Trained:
        model = kind(**settings).fit(X, y)
        return Trained(model.n_iter_ * (job.rows // job.batch), model.coefs_)

    return fit


# == PyTorch =======================================================================================

ACTIVATIONS = {"relu": "ReLU", "tanh": "Tanh", "logistic": "Sigmoid", "softplus": "Softplus"}


def _refuse_unless_for_peers(job: Job, package: Any, name: str) -> None:
    if package is None:
        raise NotHere(f"{name} is not installed")
    _refuse_unless_dense_adam(job)


def _refuse_unless_dense_adam(job: Job) -> None:
    if job.solver != "adam" or job.filled < 1:
        raise NotHere("it is for Adam and dense inputs")


def _network(job: Job) -> Any:
    layers = []
    for inputs, outputs in job.shapes:
        layers += [
            torch.nn.Linear(inputs, outputs),
            getattr(torch.nn, ACTIVATIONS[job.activation])(),
        ]
    return torch.nn.Sequential(*layers[:-1])


def _start(network: Any, job: Job, rng: np.random.RandomState) -> None:
    """Set weights and biases as scikit-learn and skmlp draw them."""
    parameters = list(network.parameters())
    for (inputs, outputs), W, b in zip(job.shapes, parameters[::2], parameters[1::2], strict=True):
        bound = np.sqrt((2 if job.activation == "logistic" else 6) / (inputs + outputs))
        with torch.no_grad():
            W.copy_(torch.from_numpy(rng.uniform(-bound, bound, (inputs, outputs)).T))
            b.copy_(torch.from_numpy(rng.uniform(-bound, bound, outputs)))


def _loss(job: Job) -> Any:
    if job.classes == 1:
        return lambda raw, y: 0.5 * torch.nn.functional.mse_loss(raw, y)
    elif job.classes == 2:
        return torch.nn.BCEWithLogitsLoss()
    return torch.nn.CrossEntropyLoss()


def _tensors(job: Job, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    y = y if job.classes > 2 else y.astype(np.float32)[:, None]
    return torch.from_numpy(X.astype(np.float32)), torch.from_numpy(y)


def _adam(network: Any, job: Job) -> Any:
    # One group of parameters, the quicker way, though biases are then penalized as well.
    return torch.optim.Adam(
        network.parameters(), lr=RATE, weight_decay=ALPHA / job.batch, fused=True
    )


def _trained(network: Any, steps: int) -> Trained:
    parameters = list(network.parameters())
    return Trained(steps, [W.detach().numpy().T for W in parameters[::2]])


def torch_eager(job: Job, X: np.ndarray, y: np.ndarray) -> Fit:
    """Train with tensors in memory and a loop over slices: the quickest that is plainly written."""
    _refuse_unless_for_peers(job, torch, "PyTorch")
    X, y = _tensors(job, X, y)

    def fit() -> Trained:
        network = _network(job)
        return _train(network, job, X, y, forward=network)

    return fit


def torch_compiled(job: Job, X: np.ndarray, y: np.ndarray) -> Fit:
    """Train likewise with torch.compile; it compiles in the warm-up, once for all fits."""
    _refuse_unless_for_peers(job, torch, "PyTorch")
    X, y = _tensors(job, X, y)
    network = _network(job)
    torch._dynamo.reset()  # what was compiled for other networks counts against a limit
    compiled = torch.compile(network, dynamic=False)
    try:
        _loss(job)(compiled(X[: job.batch]), y[: job.batch]).backward()
    except Exception as error:
        raise NotHere(f"it does not compile: {str(error).splitlines()[0]}") from error
    return lambda: _train(network, job, X, y, forward=compiled)


def _train(network: Any, job: Job, X: Any, y: Any, forward: Any) -> Trained:
    rng = np.random.RandomState(SEED)
    _start(network, job, rng)
    loss, optimizer, steps = _loss(job), _adam(network, job), 0
    for order in _orders(job, rng):
        order = torch.from_numpy(order)
        for x_batch, y_batch in zip(
            X[order].split(job.batch), y[order].split(job.batch), strict=True
        ):
            optimizer.zero_grad()
            loss(forward(x_batch), y_batch).backward()
            optimizer.step()
            steps += 1
    return _trained(network, steps)


def _orders(job: Job, rng: np.random.RandomState) -> Iterator[np.ndarray]:
    """Shuffle as scikit-learn and skmlp do: each epoch goes on from the last one's order."""
    order = np.arange(job.rows)
    for _ in range(job.epochs):
        places = np.arange(job.rows)
        rng.shuffle(places)
        order = order[places]
        yield order


def skorch_network(job: Job, X: np.ndarray, y: np.ndarray) -> Fit:
    """Fit a skorch.NeuralNet: its loop and a DataLoader, without callbacks and validation."""
    _refuse_unless_for_peers(job, skorch, "skorch")
    X, y = _tensors(job, X, y)

    def fit() -> Trained:
        rng = np.random.RandomState(SEED)
        network = _network(job)
        _start(network, job, rng)
        model = skorch.NeuralNet(
            network,
            criterion=lambda: _loss(job),
            optimizer=torch.optim.Adam,
            optimizer__fused=True,
            optimizer__weight_decay=ALPHA / job.batch,
            lr=RATE,
            max_epochs=job.epochs,
            batch_size=job.batch,
            iterator_train__sampler=_Sampler(_orders(job, rng), job.rows),
            train_split=None,
            callbacks="disable",
            verbose=0,
        )
        model.fit(X, y)
        return _trained(model.module_, sum(len(epoch["batches"]) for epoch in model.history))

    return fit


class _Sampler:
    """The row numbers of each epoch, as a DataLoader asks for them."""

    def __init__(self, orders: Iterator[np.ndarray], rows: int) -> None:
        self.orders, self.rows = orders, rows

    def __iter__(self) -> Iterator[int]:
        return iter(next(self.orders).tolist())

    def __len__(self) -> int:
        return self.rows


# == the bare matrix products ======================================================================


def bare(job: Job, X: np.ndarray, y: np.ndarray) -> Fit:  # noqa: ARG001
    """Compute only the products that training must do, in float32, with all arrays laid out.

    Outputs of every layer; gradients of every weight matrix; gradients of every layer's inputs but
    the first's.
    """
    _refuse_unless_dense_adam(job)
    rng = np.random.default_rng(SEED)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32) / np.float32(shape[0] ** 0.5)

    # np.dot, since np.matmul takes four times as long for a column by a row.
    units = (job.inputs, *job.hidden, job.outputs)
    weights = [drawn(*shape) for shape in job.shapes]
    gradients = [np.empty_like(W) for W in weights]
    outputs, errors = ([drawn(job.batch, k) for k in units] for _ in range(2))
    layers = range(len(weights))
    calls = [partial(np.dot, outputs[i], weights[i], outputs[i + 1]) for i in layers]
    for i in reversed(layers):
        calls.append(partial(np.dot, outputs[i].T, errors[i + 1], gradients[i]))
        if i > 0:
            calls.append(partial(np.dot, errors[i + 1], weights[i].T, errors[i]))

    def fit() -> Trained:
        for _ in range(job.steps):
            for call in calls:
                call()
        return Trained(job.steps, [])

    return fit


# == all of them ===================================================================================

CONTENDERS: dict[str, Callable[[Job, Any, np.ndarray], Fit]] = {
    "skmlp float32": partial(estimator, skmlp, "float32"),
    "skmlp float64": partial(estimator, skmlp, "float64"),
    "scikit-learn float64": partial(estimator, sklearn.neural_network, "float64"),
    "scikit-learn float32": partial(estimator, sklearn.neural_network, "float32"),
    "PyTorch eager": torch_eager,
    "torch.compile": torch_compiled,
    "skorch": skorch_network,
    "bare": bare,
}


def differences(trained: dict[str, Trained], job: Job) -> dict[str, float]:
    """Return how far the weights are from the first contender's, relative to their size.

    Raises
    ------
    RuntimeError
        If a contender took another number of steps than the job has: it was no fair contest.
    """
    found = {}
    reference = next(iter(trained.values())).weights
    for name, (steps, weights) in trained.items():
        if steps != job.steps:
            raise RuntimeError(f"{name} took {steps} steps of {job.steps}")
        pairs = zip(weights, reference, strict=True) if weights else ()
        far = [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs]
        found[name] = max(far, default=0.0)
    return found
