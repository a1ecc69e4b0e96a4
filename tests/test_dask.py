"""Fits on a Dask cluster are those of the local estimators, whatever the partitions."""

import pickle
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from skmlp import MLPClassifier, MLPRegressor, callbacks
from skmlp.heads import HEADS, Ordinal, Quantile
from skmlp.training.solvers import SOLVERS

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
bag = pytest.importorskip("dask.bag")
distributed = pytest.importorskip("distributed")

from skmlp.dask import DaskMLPClassifier, DaskMLPRegressor  # noqa: E402
from skmlp.dask.fitting import Summed  # noqa: E402

pytestmark = [
    # fits here are short, and compared with others that are as short
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # distributed's own: a comm that is closed while the cluster is, and a port that is taken
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def client():
    """Two workers, in threads: enough to tell shares apart."""
    with (
        dask.config.set({"distributed.worker.memory.spill": False}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=False,
            dashboard_address=":0",
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left(client):
    """After every test the scheduler and the workers have nothing of a fit."""
    yield
    for _ in range(100):
        tasks = client.run_on_scheduler(
            lambda dask_scheduler: [str(key) for key in dask_scheduler.tasks]
        )
        held = client.run(lambda dask_worker: [str(key) for key in dask_worker.data])
        keys = [*tasks, *(key for of_worker in held.values() for key in of_worker)]
        left = [key for key in keys if "skmlp" in key or "read_part" in key]
        if not left:
            return
        client.run(lambda: None)
    pytest.fail(f"left on the cluster: {left}")


def rows(head=None, n=90, k=1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    signal = X[:, 0] + 0.5 * X[:, 1] ** 2 + 0.3 * rng.normal(size=n)
    if head is None or "numbers" in head.targets:
        y = signal if head is None or head.domain.allows(-1.0) else np.exp(0.5 * signal) + 0.1
        return X, y if k == 1 else np.column_stack([y] * k)
    if "multiclass" in head.targets:
        return X, np.digitize(signal, [0.0, 0.8])
    return X, (signal > 0.3).astype(int)


def cut(array, sizes):
    return (
        None
        if array is None
        else da.concatenate(
            [
                da.from_array(array[a : a + n], chunks=(n, *array.shape[1:]))
                for a, n in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True)
            ]
        )
    )


def pair(X, y, sizes, w=None, local=MLPRegressor, **parameters):
    """The local fit, and that of partitions of these sizes."""
    spread = DaskMLPRegressor if local is MLPRegressor else DaskMLPClassifier
    given = {"hidden_layer_sizes": (4,), "activation": "tanh", "random_state": 0, **parameters}
    one = local(**given).fit(X, y, w)
    many = spread(**given).fit(cut(X, sizes), cut(y, sizes), cut(w, sizes))
    return one, many


def assert_same_fit(one, many, atol=1e-8):
    for a, b in zip(
        [*one.coefs_, *one.intercepts_], [*many.coefs_, *many.intercepts_], strict=True
    ):
        np.testing.assert_allclose(b, a, rtol=0, atol=atol)
    assert many.n_iter_ == one.n_iter_
    np.testing.assert_allclose(many.loss_curve_, one.loss_curve_, rtol=1e-8, atol=atol)


LBFGS = {"solver": "lbfgs", "max_iter": 8}


# == lbfgs =========================================================================================


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("start", [None, pytest.param("data", marks=pytest.mark.long)], ids=str)
def test_lbfgs_is_the_local_fit_for_every_head(name, start):
    head = HEADS[name]()
    X, y = rows(head)
    w = np.random.default_rng(1).integers(0, 3, size=len(y)).astype(float)
    local = MLPRegressor if "numbers" in head.targets else MLPClassifier
    one, many = pair(X, y, [50, 7, 33], w, local, head=head, initial_output=start, **LBFGS)
    assert_same_fit(one, many)


@pytest.mark.parametrize(
    "sizes", [[90], [45, 45], [1, 2, 3, 84], [0, 60, 0, 30, 0], [30] * 3, [9] * 10], ids=str
)
def test_lbfgs_is_the_local_fit_whatever_the_partitions(sizes):
    X, y = rows(k=2)
    one, many = pair(X, y, sizes, alpha=0.5, **LBFGS)
    assert_same_fit(one, many)
    np.testing.assert_allclose(
        many.predict(cut(X, sizes)).compute(), one.predict(X), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True},
        {"early_stopping": True, "scoring": "loss"},
        pytest.param({"scoring": "r2"}, marks=pytest.mark.long),
        {"normalization": "layer"},
        {"activation": "rbf"},
        pytest.param({"restore_best": True}, marks=pytest.mark.long),
        {"residual": True, "hidden_layer_sizes": (3, 3)},
    ],
    ids=str,
)
def test_lbfgs_is_the_local_fit_with_other_parameters(parameters):
    one, many = pair(*rows(), [40, 50], **{**LBFGS, **parameters})
    assert_same_fit(one, many)
    for column, values in one.history_.items():
        np.testing.assert_allclose(many.history_[column], values, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    "parameters",
    [
        {"class_weight": "balanced"},
        pytest.param({"class_weight": {0: 2.0, 1: 1.0, 2: 0.5}}, marks=pytest.mark.long),
        {"label_smoothing": 0.1},
        {"early_stopping": True},
        {"head": Ordinal()},
    ],
    ids=str,
)
def test_classes_are_the_local_ones(parameters):
    X, y = rows(HEADS["softmax"]())
    order = np.argsort(y, kind="stable")  # so that no partition has all classes
    one, many = pair(X[order], y[order], [30, 30, 30], None, MLPClassifier, **LBFGS, **parameters)
    assert_same_fit(one, many)
    np.testing.assert_array_equal(many.classes_, one.classes_)
    parts = cut(X[order], [30] * 3)
    np.testing.assert_array_equal(many.predict(parts).compute(), one.predict(X[order]))
    found = many.predict_proba(parts)
    assert found.shape == (90, 3)
    np.testing.assert_allclose(found.compute(), one.predict_proba(X[order]), atol=1e-8)
    assert many.score(parts, cut(y[order], [30] * 3)) == one.score(X[order], y[order])


def test_labels_and_words_are_classes_too():
    X, y = rows()
    labels = np.column_stack([y > 0, y > 1]).astype(int)
    one, many = pair(X, labels, [45, 45], None, MLPClassifier, **LBFGS)
    assert_same_fit(one, many)
    words = np.where(y > 0, "yes", "no")
    one, many = pair(X, words, [45, 45], None, MLPClassifier, **LBFGS)
    assert many.predict(cut(X, [45, 45])).compute().tolist() == one.predict(X).tolist()


def test_warm_start_goes_on_as_the_local_fit():
    X, y = rows()
    one, many = pair(X, y, [45, 45], warm_start=True, **LBFGS)
    one.fit(X, y)
    many.fit(cut(X, [45, 45]), cut(y, [45, 45]))
    assert_same_fit(one, many)


def test_rows_to_validate_on_may_be_given():
    (X, y), (V, v) = rows(), rows(n=40, seed=3)
    one = MLPRegressor((4,), random_state=0, **LBFGS).fit(X, y, X_val=V, y_val=v)
    many = DaskMLPRegressor((4,), random_state=0, **LBFGS)
    many.fit(cut(X, [45, 45]), cut(y, [45, 45]), X_val=cut(V, [10, 30]), y_val=cut(v, [10, 30]))
    np.testing.assert_allclose(many.validation_scores_, one.validation_scores_, atol=1e-8)
    assert many.best_iter_ == one.best_iter_


def test_rows_of_weight_zero_are_none_wherever_they_are():
    X, y = rows()
    w = np.ones(90)
    w[:45] = 0  # all of the first worker's
    one, many = pair(X, y, [45, 45], w, **LBFGS)
    assert_same_fit(one, many)
    V, v, u = X[:20], y[:20], np.tile([0.0, 2.0], 10)
    one = MLPRegressor((4,), random_state=0, **LBFGS)
    one.fit(X, y, X_val=V, y_val=v, sample_weight_val=u)
    many = DaskMLPRegressor((4,), random_state=0, **LBFGS)
    lazy = {"X_val": V, "y_val": v, "sample_weight_val": u}
    lazy = {name: cut(array, [8, 12]) for name, array in lazy.items()}
    many.fit(cut(X, [45, 45]), cut(y, [45, 45]), **lazy)
    np.testing.assert_allclose(many.validation_scores_, one.validation_scores_, atol=1e-8)


@pytest.mark.long
def test_large_parameters_go_from_worker_to_worker():
    X, y = rows()
    one, many = pair(X, y, [45, 45], hidden_layer_sizes=(370, 370), solver="lbfgs", max_iter=2)
    assert many.traffic_["sent"] > 2 << 20
    assert_same_fit(one, many)


def test_a_scorer_of_the_users_sees_rows_and_their_columns():
    X, y = rows(HEADS["softmax"]())
    given = {"scoring": "roc_auc_ovr", "early_stopping": True, **LBFGS}
    one, many = pair(X, y, [45, 45], None, MLPClassifier, **given)
    np.testing.assert_allclose(many.validation_scores_, one.validation_scores_, atol=1e-8)
    np.testing.assert_allclose(many.history_["score"], one.history_["score"], atol=1e-8)


@pytest.mark.skipif(find_spec("sklearn.callback") is None, reason="callbacks came with 1.9")
def test_callbacks_are_called_on_the_client(client):
    class Seen(callbacks.Callback):
        losses = ()

        def on_fit_task_end(self, _, context, *, fitted_estimator=None, X=None):
            if context.task_name == "epoch":
                self.losses = *self.losses, fitted_estimator.loss_
                assert dask.is_dask_collection(X)
                assert fitted_estimator.to_local().n_iter_ == len(self.losses)

    X, y = rows()
    seen = Seen()
    given = {"solver": "adam", "max_iter": 40, "learning_rate_init": 0.3, "random_state": 0}
    model = DaskMLPRegressor((4,), client=client, early_stopping=True, **given)
    stop = callbacks.EarlyStopping("validation_loss", patience=2)
    model.set_callbacks(seen, stop).fit(cut(X, [45, 45]), cut(y, [45, 45]))
    losses = model.history_["validation_loss"]
    assert list(seen.losses) == model.loss_curve_
    assert len(losses) < 40
    assert model.best_iter_ == 1 + losses.index(min(losses))
    with pytest.raises(ValueError, match="GradientNorms needs the rows"):
        model.set_callbacks(callbacks.GradientNorms()).fit(cut(X, [45, 45]), cut(y, [45, 45]))


def test_the_comparison_sees_a_wrong_sum(monkeypatch):
    def first_alone(self, rows):
        self._count(len(rows))
        answers = self._spread.ask("evaluated", self.theta)
        self.gradient[...] = answers[0][1]
        return answers[0][0]

    monkeypatch.setattr(Summed, "data_term", first_alone)
    one, many = pair(*rows(), [45, 45], **LBFGS)
    with pytest.raises(AssertionError):
        assert_same_fit(one, many)


# == collections ===================================================================================


def collections(X, y):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    series = pd.Series(y, name="y")
    halves = [slice(0, 40), slice(40, None)]
    yield "arrays", da.from_array(X, chunks=(40, 3)), da.from_array(y, chunks=30)
    yield "frames", dd.from_pandas(frame, npartitions=2), dd.from_pandas(series, npartitions=2)
    yield (
        "delayed",
        [dask.delayed(np.copy)(X[part]) for part in halves],
        [dask.delayed(np.copy)(y[part]) for part in halves],
    )
    yield (
        "sparse",
        [dask.delayed(sparse.csr_matrix)(X[part]) for part in halves],
        [dask.delayed(np.copy)(y[part]) for part in halves],
    )
    yield (
        "bags",
        bag.from_sequence(X.tolist(), npartitions=3),
        bag.from_sequence(y.tolist(), npartitions=3),
    )


@pytest.mark.parametrize("kind", ["arrays", "frames", "delayed", "sparse", "bags"])
def test_every_collection_is_the_same_rows(kind):
    X, y = rows()
    lazy = {name: (a, b) for name, a, b in collections(X, y)}[kind]
    one = MLPRegressor((4,), random_state=0, **LBFGS).fit(X, y)
    many = DaskMLPRegressor((4,), random_state=0, **LBFGS).fit(*lazy)
    assert_same_fit(one, many)
    predicted = many.predict(lazy[0])
    assert dask.is_dask_collection(predicted)
    np.testing.assert_allclose(predicted.compute(), one.predict(X), atol=1e-8)
    assert many.score(*lazy) == pytest.approx(one.score(X, y), abs=1e-9)
    if kind == "frames":
        assert many.feature_names_in_.tolist() == ["a", "b", "c"]


def test_persisted_partitions_stay_where_they_are(client):
    X, y = rows()
    lazy = [client.persist(cut(array, [30, 30, 30])) for array in (X, y)]
    distributed.wait(lazy)
    one = MLPRegressor((4,), random_state=0, **LBFGS).fit(X, y)
    assert_same_fit(one, DaskMLPRegressor((4,), random_state=0, **LBFGS).fit(*lazy))


def test_columns_in_chunks_are_rechunked_with_a_sentence():
    X, y = rows()
    lazy = da.from_array(X, chunks=(45, 2))
    with pytest.warns(UserWarning, match="chunks along its columns"):
        many = DaskMLPRegressor((4,), random_state=0, **LBFGS).fit(lazy, da.from_array(y, 45))
    assert_same_fit(MLPRegressor((4,), random_state=0, **LBFGS).fit(X, y), many)


@pytest.mark.parametrize(
    ("method", "given", "head"),
    [
        ("predict_interval", (0.8,), "gaussian"),
        ("predict_quantiles", ([0.1, 0.5],), "gaussian"),
        ("predict", (), Quantile([0.1, 0.5, 0.9])),
        ("hidden_layer_output", (0,), "linear"),
    ],
)
def test_answers_are_lazy_and_those_of_the_local_estimator(method, given, head):
    X, y = rows()
    one, many = pair(X, y, [45, 45], head=head, **LBFGS)
    lazy = getattr(many, method)(cut(X, [45, 45]), *given)
    expected = getattr(many.to_local(), method)(X, *given)
    assert lazy.shape == expected.shape
    assert lazy.dtype == expected.dtype
    np.testing.assert_array_equal(lazy.compute(), expected)
    np.testing.assert_allclose(expected, getattr(one, method)(X, *given), atol=1e-6)


def test_distributions_and_deviations_are_answers_too():
    X, y = rows()
    _, many = pair(X, y, [45, 45], head="gaussian", **LBFGS)
    parts, local = cut(X, [45, 45]), many.to_local()
    mean, std = many.predict(parts, return_std=True)
    np.testing.assert_array_equal(std.compute(), local.predict(X, return_std=True)[1])
    np.testing.assert_array_equal(mean.compute(), local.predict(X))
    first, _ = dask.compute(*many.predict_distribution(parts))
    np.testing.assert_array_equal(first.std(), std.compute()[:45])


# == stochastic solvers ============================================================================


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"early_stopping": True},
        {"dropout": 0.2, "normalization": "batch", "averaging": 0.9},
        {"learning_rate": "cosine", "warmup": 0.1, "max_grad_norm": 1.0},
        pytest.param(
            {"restore_best": True, "shuffle": False, "initial_output": "data"},
            marks=pytest.mark.long,
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("sync_every", ["epoch", pytest.param(2, marks=pytest.mark.long)], ids=str)
def test_one_partition_is_the_local_fit_bit_for_bit(solver, parameters, sync_every):
    X, y = rows()
    given = {"solver": solver, "max_iter": 3, "batch_size": 20, "random_state": 0, **parameters}
    one = MLPRegressor((4,), **given).fit(X, y)
    many = DaskMLPRegressor((4,), sync_every=sync_every, **given).fit(cut(X, [90]), cut(y, [90]))
    for a, b in zip(
        [*one.coefs_, *one.intercepts_], [*many.coefs_, *many.intercepts_], strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert many.history_ == one.history_


def test_a_retreat_is_the_local_one():
    X, y = rows()
    given = {"solver": "sgd", "learning_rate_init": 50.0, "max_iter": 5, "random_state": 0}
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        one = MLPRegressor((4,), activation="relu", **given).fit(X, 10 * y)
    many = DaskMLPRegressor((4,), activation="relu", **given)
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        many.fit(cut(X, [90]), cut(10 * y, [90]))
    assert many.history_ == one.history_


@pytest.mark.long
@pytest.mark.parametrize("solver", SOLVERS)
def test_averages_learn_what_the_local_fit_learns(solver):
    X, y = rows(n=400)
    given = {"solver": solver, "learning_rate_init": 0.02, "max_iter": 40, "batch_size": 20}
    one, many = pair(X, y, [250, 10, 140], **given)
    assert many.loss_ < 1.3 * one.loss_ + 0.03


def test_averages_are_the_same_each_time():
    X, y = rows(n=100)
    given = {"max_iter": 3, "batch_size": 20, "dropout": 0.1, "sync_every": 2, "random_state": 0}
    fits = [
        DaskMLPRegressor((4,), **given).fit(cut(X, [60, 40]), cut(y, [60, 40])) for _ in range(2)
    ]
    assert fits[0].history_ == fits[1].history_


def test_sgd_with_a_mean_after_each_step_is_the_step_of_all():
    """For sgd the mean of one step each is one step of all rows (Stich 2019, H = 1)."""
    X, y = rows(n=80)
    given = {"solver": "sgd", "momentum": 0.9, "alpha": 0.5, "batch_size": 80, "random_state": 0}
    one = MLPRegressor((4,), max_iter=5, **given).fit(X, y)
    for sizes in ([40, 40], [60, 20]):
        many = DaskMLPRegressor((4,), max_iter=5, sync_every=1, **given)
        many.fit(cut(X, sizes), cut(y, sizes))
        assert_same_fit(one, many, atol=1e-12)


# == conventions ===================================================================================


def test_parameters_are_those_of_the_local_estimator_and_two_more(client):
    for local, spread in ((MLPRegressor, DaskMLPRegressor), (MLPClassifier, DaskMLPClassifier)):
        extra = set(spread().get_params()) - set(local().get_params())
        assert extra == {"client", "sync_every"}
        model = spread(client=client, alpha=2.0)
        assert clone(model).client is client
        assert pickle.loads(pickle.dumps(model)).client is None


def test_to_local_has_everything(client):
    X, y = rows()
    one, many = pair(X, y, [45, 45], early_stopping=True, **LBFGS)
    local = many.to_local()
    assert type(local) is MLPRegressor
    assert {x for x in vars(local) if x.endswith("_")} == {x for x in vars(one) if x.endswith("_")}
    assert local.history_ == many.history_
    assert many.client_ is client
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(many)).to_local().predict(X), local.predict(X)
    )


def test_traffic_is_parameters_and_gradients():
    X, y = rows(n=900)
    _, many = pair(X, y, [450, 450], **LBFGS)
    n_bytes = 8 * sum(array.size for array in [*many.coefs_, *many.intercepts_])
    for way in ("sent", "received"):
        assert 2 * n_bytes <= many.traffic_[way] < 2 * n_bytes + 2000
    assert many.traffic_["rounds"] > many.n_iter_


def test_only_targets_are_brought_together(client):
    """No task that the client fetched was as large as the rows."""
    fetched = []
    gather = client.gather

    def watched(futures, *given, **named):
        found = gather(futures, *given, **named)
        fetched.extend(len(pickle.dumps(one)) for one in found)
        return found

    X, y = rows(n=20_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "gather", watched)
        pair(X, y, [10_000, 10_000], early_stopping=True, initial_output="data", **LBFGS)
    assert 0 < max(fetched) < 20_000


# == refusals ======================================================================================


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"X": np.zeros((90, 3))}, TypeError, "X must be a dask array"),
        ({"sync_every": 0}, ValueError, "sync_every must be 'epoch' or a whole number"),
        ({"client": "somewhere"}, ValueError, "client must be None or a distributed.Client"),
        ({"normalization": "batch"}, ValueError, "normalization='batch' with solver='lbfgs'"),
        ({"alpha": -1}, ValueError, "alpha"),
        ({"y": "short"}, ValueError, "inconsistent numbers of samples"),
        ({"X": "nan"}, ValueError, r"Partition 1: Input X contains NaN .* row 2"),
        ({"y": "fails"}, RuntimeError, "Partition 1 could not be computed: ZeroDivisionError"),
        ({"w": "zero"}, ValueError, "at least one non-zero"),
        ({"X": "empty", "y": "empty"}, ValueError, "0 sample"),
    ],
    ids=str,
)
def test_what_cannot_be_right_is_refused_in_a_sentence(change, error, words):
    X, y = rows()
    lazy = {"X": cut(X, [45, 45]), "y": cut(y, [45, 45]), "w": None}
    bad = X.copy()
    bad[47, 1] = np.nan
    broken = [dask.delayed(np.copy)(y[:45]), dask.delayed(lambda: 1 // 0)()]
    special = {
        "nan": cut(bad, [45, 45]),
        "short": cut(y[:80], [40, 40]),
        "fails": broken,
        "zero": cut(np.zeros(90), [45, 45]),
        "empty": da.from_array(np.zeros((0, 3)), chunks=(1, 3)),
    }
    lazy |= {
        k: special.get(v, v) if isinstance(v, str) else v for k, v in change.items() if k in lazy
    }
    parameters = {k: v for k, v in change.items() if k not in lazy}
    model = DaskMLPRegressor((4,), random_state=0, **LBFGS).set_params(**parameters)
    before = dict(vars(model))
    with pytest.raises(error, match=words):
        model.fit(lazy["X"], lazy["y"], lazy["w"])
    assert vars(model).keys() == before.keys()


def test_there_is_no_stream_and_no_checkpoint():
    model = DaskMLPRegressor((4,))
    assert not hasattr(model, "partial_fit")
    with pytest.raises(NotImplementedError, match="does not resume"):
        model.resume("fit.npz", None, None)


def test_classes_of_different_types_are_refused():
    X, _ = rows()
    y = [dask.delayed(np.array)([0, 1] * 20), dask.delayed(np.array)(["a", "b"] * 25)]
    parts = [dask.delayed(np.copy)(X[:40]), dask.delayed(np.copy)(X[40:])]
    with pytest.raises(ValueError, match="numbers for classes, and some have strings"):
        DaskMLPClassifier((4,), **LBFGS).fit(parts, y)


def test_warnings_reach_the_client():
    X, y = rows()
    with pytest.warns(DataConversionWarning, match="column-vector"):
        DaskMLPRegressor((4,), **LBFGS).fit(cut(X, [45, 45]), cut(y[:, None], [45, 45]))
    model = DaskMLPRegressor((4,), max_iter=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="worse than a constant"):
        model.fit(cut(X, [45, 45]), cut(y + 100, [45, 45]))
