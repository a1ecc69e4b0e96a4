"""Data larger than memory: mapped files are read part by part, streams go on without an end."""

import subprocess
import sys
import textwrap
import warnings
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.multioutput import MultiOutputRegressor

from skmlp import MLPClassifier, MLPRegressor
from skmlp.callbacks import Callback, Checkpoint
from skmlp.estimators.data import FileData, evenly_spaced
from skmlp.estimators.files import is_file
from skmlp.estimators.scoring import FileSplit
from skmlp.training.orders import BLOCK_BYTES, WINDOW_BLOCKS, Blocks

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # of dask and distributed, which tell of their own changes as they are imported
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dask.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:dask.*"),
]
has_callbacks = pytest.mark.skipif(
    find_spec("sklearn.callback") is None, reason="scikit-learn has callbacks since 1.9"
)
N, INPUTS = 120_000, 20


def mapped(array, folder, name="X"):
    path = folder / f"{name}.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def rows(folder):
    """Rows sorted by class, in a file and in memory, and others to judge by."""
    rng = np.random.default_rng(0)
    centers = 1.2 * rng.normal(size=(10, INPUTS))
    y = np.repeat(np.arange(10), N // 10)
    X = (centers[y] + rng.normal(size=(N, INPUTS))).astype(np.float32)
    y_new = np.arange(5000) % 10
    X_new = (centers[y_new] + rng.normal(size=(5000, INPUTS))).astype(np.float32)
    return mapped(X, folder), X, y, X_new, y_new


# -------------------- the order


def order_of(n, row_bytes, seed=0, **options):
    return Blocks(n, row_bytes, **options).shuffled(np.random.RandomState(seed))


SIZES = [(1, 8), (63, 8), (1000, 8), (100_000, 400), (130, 1 << 20), (1_100_000, 8)]


@pytest.mark.parametrize(("n", "row_bytes"), SIZES)
def test_an_epoch_has_each_row_once(n, row_bytes):
    order = order_of(n, row_bytes)
    batches = [np.asarray(order[i : i + 200_000]) for i in range(0, n, 200_000)]
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(n))
    assert len(order) == n
    again = order.shuffled(np.random.RandomState(1))
    assert n < 50 or not np.array_equal(order[:], again[:])


@pytest.mark.parametrize("n", [1000, 100_000])
def test_marked_rows_are_an_order_of_their_own(n):
    marks = np.random.default_rng(0).integers(0, 3, n).astype(np.uint8)
    kept = Blocks(n, 400).marked(marks, 2)
    np.testing.assert_array_equal(kept[:], np.flatnonzero(marks == 2))
    np.testing.assert_array_equal(
        evenly_spaced(kept, 10),
        np.flatnonzero(marks == 2)[np.linspace(0, len(kept) - 1, 10, dtype=int)],
    )
    order = kept.shuffled(np.random.RandomState(0))
    np.testing.assert_array_equal(np.sort(order[:]), np.flatnonzero(marks == 2))


def test_files_are_read_in_long_stretches_before_rows_are_taken_at_random():
    reads = []
    order = order_of(200_000, 400, read=lambda start, stop: reads.append((start, stop)))
    first = order[:200]
    assert len(reads) == WINDOW_BLOCKS  # a window, no more
    assert all((stop - start) * 400 > 0.5 * BLOCK_BYTES for start, stop in reads)
    within = [start <= row < stop for row in first for start, stop in reads]
    assert sum(within) == 200
    np.asarray(order[:])
    covered = sorted(set(reads))
    assert covered[0][0] == 0
    assert covered[-1][1] == 200_000
    assert all(a[1] == b[0] for a, b in pairwise(covered))


def test_each_window_is_like_the_whole_of_a_sorted_file():
    n = 1_000_000
    order, labels = order_of(n, 400), np.arange(n) * 10 // n
    window = len(order) // order.n_windows
    shares = [
        np.bincount(labels[order[i : i + window]], minlength=10) / window
        for i in range(0, n - window, window)
    ]
    assert len(shares) > 10
    assert np.abs(np.array(shares) - 0.1).max() < 2 / WINDOW_BLOCKS
    unmixed = np.bincount(labels[:window], minlength=10) / window  # the measure can fail
    assert np.abs(unmixed - 0.1).max() > 0.5


# -------------------- the same fits


def parameters(model):
    return [*model.coefs_, *model.intercepts_]


@pytest.mark.parametrize("options", [{"shuffle": False}, {"solver": "lbfgs"}])
@pytest.mark.parametrize("target", ["classes", "words", "labels", "numbers", "weighted"])
def test_without_shuffling_a_file_gives_the_numbers_of_memory(rows, target, options, folder):
    X, plain, y, _, _ = rows
    kind, given, weights = MLPClassifier, y, None
    if target == "words":
        given = y.astype(str)
    if target == "labels":
        given = (y[:, None] == np.arange(3)).astype(int)
    if target == "numbers":
        kind, given = MLPRegressor, mapped(np.c_[y, -y].astype(float), folder, "y")
    if target == "weighted":
        weights = np.arange(N) % 3
    models = [
        kind((4,), max_iter=1, random_state=0, batch_size=1000, **options).fit(
            A, given, sample_weight=weights
        )
        for A in (X, plain)
    ]
    for left, right in zip(*map(parameters, models), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(models[0].predict(X), models[0].predict(plain))
    assert models[0].score(X, given) == models[0].score(plain, np.asarray(given))


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.int16, np.float16, ">f4"])
def test_other_numbers_are_converted_batch_by_batch(rows, dtype, folder):
    values = np.round(np.clip(20 * rows[1] + 100, 0, 250)).astype(dtype)
    X, y = mapped(values, folder, "converted"), rows[2]
    plain = values.astype(np.float64)
    for options in ({}, {"dtype": "float32"}):
        models = [
            MLPClassifier(
                (4,), max_iter=1, random_state=0, shuffle=False, batch_size=1000, **options
            )
            for _ in range(2)
        ]
        found, expected = models[0].fit(X, y), models[1].fit(plain, y)
        assert found.coefs_[0].dtype == expected.coefs_[0].dtype
        np.testing.assert_array_equal(found.coefs_[0], expected.coefs_[0])
        np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(plain))


def test_a_file_sorted_by_class_is_learned_as_well_as_in_memory(rows):
    X, plain, y, X_new, y_new = rows
    from_file, from_memory, unmixed = (
        MLPClassifier((32,), max_iter=1, random_state=0, shuffle=shuffle)
        .fit(A, y)
        .score(X_new, y_new)
        for A, shuffle in ((X, True), (plain, True), (X, False))
    )
    assert from_file > from_memory - 0.005
    assert unmixed < from_memory - 0.1  # the measure can fail


@pytest.mark.parametrize("options", [{}, {"scoring": "loss"}, {"scoring": "accuracy"}])
def test_validation_is_of_rows_that_are_not_trained_on(rows, options):
    X, plain, y, _, _ = rows
    model = MLPClassifier((8,), max_iter=2, early_stopping=True, random_state=0, **options).fit(
        X, y
    )
    assert len(model.validation_scores_) == 2
    given = MLPClassifier((8,), max_iter=1, random_state=0, **options)
    given.fit(X, y, X_val=X, y_val=y)
    expected = given.score(plain, y)
    if options.get("scoring") != "loss":
        assert given.validation_scores_[0] == pytest.approx(
            expected, abs=1e-9 if not options else 0.01
        )


def test_the_split_has_every_classs_share():
    rng = np.random.default_rng(0)
    codes = np.sort(rng.choice(4, 50_000, p=[0.7, 0.2, 0.0999, 0.0001]))
    Y = codes[:, None] == np.arange(4)
    data = FileData(np.zeros((50_000, 2)), Y, None, codes, np.dtype(float), Blocks(50_000, 16), 0.0)
    split = FileSplit(data, lambda Y: np.argmax(Y, axis=1), 0.1)
    train, held_out = (np.asarray(part[:]) for part in split.draw(np.random.RandomState(0)))
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(50_000))
    assert len(train) == split.n_training
    shares = np.bincount(codes[held_out], minlength=4)
    expected = np.maximum(np.rint(0.1 * np.bincount(codes, minlength=4)), 1)
    np.testing.assert_array_equal(shares, expected)


def test_class_weights_and_weights_of_zero(rows):
    X, plain, y, _, _ = rows
    options = {"max_iter": 1, "random_state": 0, "shuffle": False, "batch_size": 1000}
    for weight in ("balanced", {3: 0.0, 1: 2.0}):
        found, expected = (
            MLPClassifier((4,), class_weight=weight, **options).fit(A, y, sample_weight=y % 4)
            for A in (X, plain)
        )
        assert found.t_ == expected.t_
        np.testing.assert_allclose(found.coefs_[0], expected.coefs_[0], rtol=1e-4, atol=1e-5)


def test_what_joblib_maps_is_fitted_as_in_one_process():
    X = np.random.default_rng(0).normal(size=(N, INPUTS))
    Y = np.c_[X[:, 0], X[:, 1]]
    one, two = (
        MultiOutputRegressor(MLPRegressor((2,), max_iter=1, random_state=0), n_jobs=n).fit(X, Y)
        for n in (None, 2)
    )
    for a, b in zip(one.estimators_, two.estimators_, strict=True):
        np.testing.assert_array_equal(a.coefs_[0], b.coefs_[0])


def test_files_are_told_from_arrays(rows):
    X, plain, *_ = rows
    assert is_file(X)
    assert is_file(np.asarray(X)[:, 1:].view())
    assert not is_file(plain)
    assert not is_file(X[:1000])  # no more than a window


# -------------------- refusals


def test_what_is_wrong_in_a_file_is_named(rows, folder):
    _, plain, y, _, _ = rows
    wrong = plain.copy()
    wrong[100_003, 7] = np.inf
    with pytest.raises(ValueError, match=r"infinity .* in row 100003, column 7"):
        MLPClassifier().fit(mapped(wrong, folder, "wrong"), y)
    large = plain.astype(np.float64)
    large[100_003, 7] = 1e300
    with pytest.raises(ValueError, match=r"1e\+300 in row 100003, column 7, .* dtype='float64'"):
        MLPClassifier(dtype="float32").fit(mapped(large, folder, "large"), y)


def test_what_needs_all_rows_at_once_is_refused(rows):
    X, _, y, _, _ = rows
    with pytest.raises(ValueError, match="takes all rows at once"):
        MLPClassifier(solver="lbfgs", normalization="batch").fit(X, y)


@has_callbacks
def test_checkpoints_of_files_and_streams_are_refused(rows, tmp_path):
    X, _, y, X_new, y_new = rows
    model = MLPClassifier((2,), max_iter=1).set_callbacks(Checkpoint(tmp_path / "fit.npz"))
    with pytest.raises(ValueError, match="mapped file has no checkpoints"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="Checkpoint is for fit"):
        model.partial_fit(X_new, y_new, classes=range(10))


# -------------------- memory

LIMITED = """
    import resource, sys, warnings
    import numpy as np
    from skmlp import MLPClassifier, MLPRegressor
    warnings.simplefilter("ignore")
    folder, way = sys.argv[1:]
    X = np.load(folder + "/memory.npy", mmap_mode="r")
    y = np.load(folder + "/memory_y.npy", mmap_mode="r")
    options = {"max_iter": 1, "random_state": 0, "dtype": "float32", "batch_size": 2000}
    MLPClassifier((4,), **options).fit(np.array(X[:4000]), y[:4000] % 2)  # what is loaded once
    kind, more, weights = {
        "plain": (MLPClassifier, {}, None),
        "early": (MLPClassifier, {"early_stopping": True}, y),
        "lbfgs": (MLPClassifier, {"solver": "lbfgs"}, None),
        "numbers": (MLPRegressor, {"initial_output": "data", "early_stopping": True}, None),
        "copies": (MLPClassifier, {}, None),
    }[way]
    used = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + X.nbytes // 4,) * 2)
    if way == "copies":
        X = np.array(X)
    model = kind((4,), **(options | more)).fit(X, y, sample_weight=weights)
    model.score(X, y)
    print("done")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits memory as Linux does")
@pytest.mark.parametrize("way", ["plain", "early", "lbfgs", "numbers", "copies"])
def test_a_fit_takes_a_fraction_of_the_file(way, folder):
    path = folder / "memory.npy"
    if not path.exists():  # 192 MB
        rng = np.random.default_rng(0)
        X = np.lib.format.open_memmap(path, "w+", np.float64, (240_000, 100))
        for start in range(0, len(X), 10_000):
            X[start : start + 10_000] = rng.standard_normal((10_000, 100))
        X.flush()
        np.save(folder / "memory_y.npy", rng.integers(0, 10, len(X)))
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(folder), way],
        capture_output=True,
        text=True,
        check=False,
    )
    if way == "copies":  # the limit is one
        assert "MemoryError" in ran.stderr
    else:
        assert ran.stdout == "done\n", ran.stderr


# -------------------- streams


@pytest.fixture(scope="module")
def parquet(folder):
    pytest.importorskip("pandas")
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    X = np.random.default_rng(0).normal(size=(2000, 3))
    columns = {name: X[:, i] for i, name in enumerate("abc")} | {"y": (X[:, 0] > 0).astype(int)}
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return pq.ParquetFile(folder / "rows.parquet"), X, columns["y"]


READERS = {
    "RecordBatch": lambda batch: batch,
    "Table": lambda batch: pytest.importorskip("pyarrow").Table.from_batches([batch]),
    "pandas": lambda batch: batch.to_pandas(),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_parquet_file_streams_as_arrays_do(parquet, reader):
    file, X, y = parquet
    found, expected = (MLPClassifier((4,), random_state=0) for _ in range(2))
    for start, batch in zip(range(0, 2000, 500), file.iter_batches(500), strict=True):
        part = READERS[reader](batch)
        found.partial_fit(READERS[reader](batch.select(list("abc"))), part["y"], classes=[0, 1])
        expected.partial_fit(X[start : start + 500], y[start : start + 500], classes=[0, 1])
    assert list(found.feature_names_in_) == list("abc")
    assert found.history_ == expected.history_
    np.testing.assert_array_equal(found.coefs_[0], expected.coefs_[0])
    other_order = READERS[reader](batch.select(list("bac")))
    with pytest.raises(ValueError, match=r"'b' as column 0, which was 'a'"):
        found.partial_fit(other_order, part["y"])
    unknown = READERS[reader](batch.select(["a", "b", "y"]))
    with pytest.raises(ValueError, match=r"'y' as column 2, which was 'c'"):
        found.partial_fit(unknown, part["y"])
    with pytest.raises(ValueError, match=r"classes not in .* 2 is none of \[0, 1\]"):
        found.partial_fit(READERS[reader](batch.select(list("abc"))), y[-500:] + 1)


def test_incremental_of_dask_ml_streams():
    wrappers = pytest.importorskip("dask_ml.wrappers")
    da = pytest.importorskip("dask.array")
    X = np.random.default_rng(0).normal(size=(1000, 3))
    y = (X[:, 0] > 0).astype(int)
    chunks = da.from_array(X, (250, 3)), da.from_array(y, 250)
    found = wrappers.Incremental(MLPClassifier((4,), random_state=0), shuffle_blocks=False)
    found.fit(*chunks, classes=[0, 1])
    expected = MLPClassifier((4,), random_state=0)
    for start in range(0, 1000, 250):
        expected.partial_fit(X[start : start + 250], y[start : start + 250], classes=[0, 1])
    np.testing.assert_array_equal(found.estimator_.coefs_[0], expected.coefs_[0])


@has_callbacks
def test_callbacks_see_every_part_and_change_nothing(rows):
    _, _, _, X, y = rows
    seen = []

    class Looking(Callback):
        def on_fit_task_begin(self, estimator, context):  # noqa: ARG002
            seen.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):  # noqa: ARG002
            seen.append(f"end {context.task_name}")
            if context.task_name == "epoch":
                seen.append(len(fitted_estimator.history_["loss"]))

    watched, alone = (MLPClassifier((4,), random_state=0) for _ in range(2))
    watched.set_callbacks(Looking())
    for _ in range(2):
        watched.partial_fit(X, y, classes=range(10))
        alone.partial_fit(X, y, classes=range(10))
    part = ["begin fit", "begin epoch", "end epoch"]
    assert seen == [*part, 1, "end fit", *part, 2, "end fit"]
    assert watched.history_ == alone.history_
    np.testing.assert_array_equal(watched.coefs_[0], alone.coefs_[0])


def test_a_stream_whose_rate_comes_to_rest_says_so():
    X = np.random.default_rng(0).normal(size=(50, 2))
    y = X[:, 0]
    model = MLPRegressor(
        (2,), solver="sgd", learning_rate="adaptive", n_iter_no_change=1, tol=10, random_state=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(30):
            model.partial_fit(X, y)
    assert any("hardly learns" in str(w.message) for w in caught)
    with pytest.raises(ValueError, match="comes to rest"):
        MLPRegressor(learning_rate="cosine").partial_fit(X, y)
