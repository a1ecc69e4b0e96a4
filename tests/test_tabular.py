"""Laws of the estimators for tables."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss, r2_score

from skmlp.callbacks import Callback
from skmlp.heads import HEADS
from skmlp.tabular import TabularMLPClassifier, TabularMLPRegressor
from skmlp.tabular import members as rooms_of_members
from skmlp.tabular import shown as rooms
from skmlp.training.loops import Broken, Descent, Diverged, Outcome

pd = pytest.importorskip("pandas")

ROWS = 240
RNG = np.random.default_rng(0)
QUICK = {"max_epochs": 4, "n_folds": 2, "hidden_layer_sizes": (16, 16), "random_state": 0}
BOTH = pytest.mark.parametrize("kind", [TabularMLPClassifier, TabularMLPRegressor])


def frame(n=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    colors = np.array(["red", "green", "blue"])[rng.integers(0, 3, n)]
    towns = np.array([f"town {i}" for i in range(20)])[rng.integers(0, 20, n)]
    return pd.DataFrame(
        {
            "size": rng.normal(size=n) * 1e3,
            "age": np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 90, n)),
            "color": colors,
            "town": towns,
            "is_new": rng.random(n) < 0.5,
        }
    )


def target(X, kind):
    number = X["size"] / 1e3 + (X["color"] == "red") + 0.01 * X["age"].fillna(40)
    number = number.to_numpy() + 0.1 * np.random.default_rng(1).normal(size=len(X))
    if kind is TabularMLPRegressor:
        return number
    return np.array(["low", "middle", "high"])[np.digitize(number, np.quantile(number, [0.3, 0.7]))]


def answers(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@pytest.fixture(scope="module")
def fits():
    """A quick fit of each estimator."""
    X = frame()
    kinds = TabularMLPClassifier, TabularMLPRegressor
    return {kind: kind(**QUICK).fit(X, target(X, kind)) for kind in kinds}


# -------------------- what is learned


@BOTH
def test_a_raw_frame_is_learned_and_judged_out_of_fold(kind):
    X, new = frame(600), frame(400, seed=1)
    y, truth = target(X, kind), target(new, kind)
    model = kind(n_folds=3, random_state=0).fit(X, y)
    if kind is TabularMLPRegressor:
        assert model.score(new, truth) > 0.9
        assert model.oof_score_ == pytest.approx(r2_score(y, model.oof_prediction_))
        assert abs(model.oof_score_ - model.score(new, truth)) < 0.05
    else:
        assert model.score(new, truth) > 0.85
        assert model.oof_loss_ == pytest.approx(log_loss(y, model.oof_prediction_), abs=1e-3)
        assert abs(model.oof_score_ - model.score(new, truth)) < 0.05
    assert model.n_members_ == 6
    assert len(model.blend_weights_) == len(model.best_epochs_) == len(model.history_) == 2
    assert np.sum(model.blend_weights_) == pytest.approx(1)


@pytest.mark.parametrize("name", HEADS)
def test_every_head_is_learned_by_members(name):
    head = HEADS[name]()
    X = frame(120)
    if "numbers" in head.targets:
        kind, y = TabularMLPRegressor, 1.0 + RNG.integers(0, 5, 120)
    else:
        kind, y = TabularMLPClassifier, RNG.integers(0, 2 if name != "softmax" else 3, 120)
    model = kind(head=name, **QUICK).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    if kind is TabularMLPRegressor:
        ends = model.predict(X, coverage=0.8) if name != "quantile" else np.zeros((120, 2))
        assert ends.shape == (120, 2)
        assert np.all(ends[:, 0] <= ends[:, 1])
    elif head.has_probabilities:
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-6)


def test_several_numbers_and_labels():
    X = frame()
    numbers = np.column_stack([target(X, TabularMLPRegressor), X["size"]])
    model = TabularMLPRegressor(**QUICK).fit(X, numbers)
    assert model.predict(X).shape == model.oof_prediction_.shape == (ROWS, 2)
    assert model.predict_interval(X).shape == (ROWS, 2, 2)
    labels = (numbers > np.median(numbers, axis=0)).astype(int)
    classifier = TabularMLPClassifier(**QUICK).fit(X, labels)
    assert set(np.unique(classifier.predict(X))) == {0, 1}
    assert classifier.predict_proba(X).shape == (ROWS, 2)


def test_conformal_intervals_cover_what_they_say():
    X, new = frame(1500), frame(3000, seed=1)
    model = TabularMLPRegressor(**QUICK | {"n_folds": 4, "max_epochs": 10})
    model.fit(X, target(X, TabularMLPRegressor))
    truth = target(new, TabularMLPRegressor)
    for coverage in (0.5, 0.8, 0.9):
        low, high = model.predict(new, coverage=coverage).T
        assert abs(np.mean((low <= truth) & (truth <= high)) - coverage) < 0.03


def test_too_few_rows_for_a_coverage_say_how_many_it_takes(fits):
    with pytest.raises(ValueError, match=r"coverage=0.999 takes 1999 rows or more"):
        fits[TabularMLPRegressor].predict_interval(frame(), 0.999)


# -------------------- laws


@BOTH
def test_an_answer_depends_on_its_row_alone(fits, kind):
    X, model = frame(50, seed=2), fits[kind]
    whole, order = answers(model, X), np.random.default_rng(0).permutation(50)
    np.testing.assert_allclose(answers(model, X.iloc[order]), whole[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(answers(model, X.iloc[:1]), whole[:1], rtol=1e-5, atol=1e-6)


@BOTH
def test_an_unknown_level_is_missing(fits, kind):
    X, model = frame(30, seed=3), fits[kind]
    unknown = X.assign(town="nowhere", color=X["color"].where(X["color"] != "red", "mauve"))
    missing = X.assign(town=None, color=X["color"].where(X["color"] != "red", None))
    np.testing.assert_array_equal(answers(model, unknown), answers(model, missing))


@BOTH
def test_the_order_of_rows_and_columns_changes_nothing_but_order(fits, kind):
    X = frame()
    y, rng = target(X, kind), np.random.default_rng(0)
    rows, names = rng.permutation(ROWS), rng.permutation(X.columns)
    model = kind(**QUICK).fit(X.iloc[rows][names], y[rows])
    np.testing.assert_array_equal(answers(model, X[names]), answers(fits[kind], X))
    np.testing.assert_array_equal(model.oof_prediction_, fits[kind].oof_prediction_[rows])
    # the check can fail: with other targets, it is another model
    other = kind(**QUICK).fit(X, y[rows])
    assert not np.array_equal(answers(other, X), answers(fits[kind], X))


@BOTH
def test_a_constant_column_changes_nothing(fits, kind):
    X = frame().assign(constant=3.0, word="same")
    model = kind(**QUICK).fit(X, target(X, kind))
    np.testing.assert_array_equal(answers(model, X), answers(fits[kind], frame()))


@BOTH
def test_a_row_of_weight_zero_is_no_row(kind):
    X = frame()
    y, weights = target(X, kind), RNG.uniform(0.5, 2, ROWS)
    out = RNG.random(ROWS) < 0.2
    few = kind(**QUICK).fit(X[~out], y[~out], weights[~out])
    worse = X.copy()
    worse.loc[out, "size"] = 1e30
    weights[out] = 0
    all_rows = kind(**QUICK).fit(worse, y, weights)
    np.testing.assert_array_equal(answers(all_rows, X), answers(few, X))
    assert np.isnan(np.ravel(all_rows.oof_prediction_.astype(float)[out])).all()


@BOTH
def test_jobs_change_no_bit(fits, kind):
    X = frame()
    model = kind(n_jobs=2, **QUICK).fit(X, target(X, kind))
    np.testing.assert_array_equal(answers(model, X), answers(fits[kind], X))


@BOTH
def test_pickles_answer_the_same_and_say_their_format(fits, kind):
    model, X = fits[kind], frame()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(answers(again, X), answers(model, X))
    state = model.__getstate__() | {"_format": 0}
    with pytest.raises(ValueError, match="was stored in format 0, and this version reads"):
        clone(model).__setstate__(state)


@BOTH
def test_blocks_hold_all_rows_and_learn_as_much(kind, monkeypatch):
    X, new = frame(900), frame(400, seed=1)
    y, truth = target(X, kind), target(new, kind)
    options = QUICK | {"max_epochs": 12, "hidden_layer_sizes": (32, 32)}
    whole = kind(**options).fit(X, y)
    monkeypatch.setattr("skmlp.tabular.shown.BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr("skmlp.tabular.members.MOST_JUDGED", 300)
    seen = []
    block = rooms.Shown.block
    monkeypatch.setattr(
        rooms.Shown, "block", lambda self, i: seen.append((self.n_blocks, i)) or block(self, i)
    )
    model = kind(**options).fit(X, y)
    assert min(seen)[0] > 2
    assert set(seen) == {(n, i) for n, _ in seen for i in range(n)}  # every block
    assert np.isfinite(model.oof_prediction_).all()
    assert model.score(new, truth) > whole.score(new, truth) - 0.07
    assert abs(model.oof_score_ - model.score(new, truth)) < 0.07


@BOTH
def test_all_rows_are_judged_right_in_blocks(kind, monkeypatch):
    # fewer rows than are judged at most, in more than a block
    X, new = frame(900), frame(400, seed=1)
    monkeypatch.setattr("skmlp.tabular.shown.BLOCK_BYTES", 1 << 16)
    model = kind(**QUICK | {"max_epochs": 12}).fit(X, target(X, kind))
    seen = np.mean([history["validation_score"][-1] for history in model.history_])
    assert abs(model.oof_loss_ + seen) < 0.4 * model.oof_loss_  # one kind, and their blend
    assert model.score(new, target(new, kind)) > 0.6


def test_the_compact_mode_holds_no_training_row():
    X = frame(2000)
    sizes = []
    for n in (500, 2000):
        y = target(X[:n], TabularMLPRegressor)
        model = TabularMLPRegressor(n_neighbors=None, **QUICK).fit(X[:n], y)
        assert model.n_members_ == 2
        del model.oof_prediction_, model._residuals
        sizes.append(len(pickle.dumps(model)))
    assert sizes[1] < sizes[0] + 20_000


# -------------------- groups, validation, limits


class Shown(Callback):
    """Notes the epochs, and may stop or interrupt a fit."""

    def __init__(self, stop_at=None, error_at=None):
        self.epochs, self.stop_at, self.error_at = 0, stop_at, error_at

    def on_fit_task_end(self, estimator, context):  # noqa: ARG002
        if context.task_name != "epoch":
            return False
        self.epochs += 1
        if self.epochs == self.error_at:
            raise KeyboardInterrupt
        return self.epochs == self.stop_at


def test_groups_are_never_on_both_sides():
    groups, rng = np.arange(ROWS) // 6, np.random.default_rng(0)
    y = rng.normal(size=40)[groups] + 0.1 * rng.normal(size=ROWS)
    X = rng.normal(size=(40, 3))[groups]  # tells who has seen the group, and nobody else
    options = QUICK | {"max_epochs": 20}
    with_groups = TabularMLPRegressor(**options).fit(X, y, groups=groups)
    without = TabularMLPRegressor(**options).fit(X, y)
    assert with_groups.oof_score_ < 0.2
    assert without.oof_score_ > 0.6
    with pytest.raises(ValueError, match="groups has a single group, a, but members"):
        TabularMLPRegressor(**QUICK).fit(X, y, groups=["a"] * ROWS)
    with pytest.raises(ValueError, match="groups has 1 entries, but X has 240 rows"):
        TabularMLPRegressor(**QUICK).fit(X, y, groups=["a"])


@BOTH
def test_rows_to_validate_on_judge_all_members(kind):
    X, new = frame(), frame(80, seed=5)
    y, truth = target(X, kind), target(new, kind)
    model = kind(**QUICK).fit(X, y, X_val=new, y_val=truth)
    assert len(model.oof_prediction_) == ROWS + 80
    assert np.isnan(np.ravel(model.oof_prediction_[:ROWS].astype(float))).all()
    np.testing.assert_allclose(model.oof_prediction_[ROWS:], answers(model, new), rtol=1e-4)
    with pytest.raises(ValueError, match="X_val is given without y_val: give both, or neither"):
        kind(**QUICK).fit(X, y, X_val=new)


def test_a_limit_of_time_keeps_the_best_so_far():
    X = frame()
    model = TabularMLPRegressor(time_limit=1e-9, **QUICK).fit(X, target(X, TabularMLPRegressor))
    assert model.n_members_ == 2
    assert len(model.history_[0]["loss"]) == 1


@pytest.mark.parametrize("error_at", [2, 6])
def test_an_interruption_leaves_what_answers(error_at):
    pytest.importorskip("sklearn.callback")
    X = frame()
    model = TabularMLPRegressor(**QUICK)
    model.set_callbacks(Shown(error_at=error_at))
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, target(X, TabularMLPRegressor))
    assert np.isfinite(model.predict(X)).all()


def test_callbacks_see_every_epoch_and_may_stop():
    pytest.importorskip("sklearn.callback")
    X, shown = frame(), Shown(stop_at=3)
    model = TabularMLPRegressor(**QUICK)
    model.set_callbacks(shown)
    model.fit(X, target(X, TabularMLPRegressor))
    assert shown.epochs == 3


@BOTH
def test_a_failed_fit_changes_nothing(fits, kind):
    model, X = pickle.loads(pickle.dumps(fits[kind])), frame()
    before = answers(model, X)
    for wrong in ({"n_bins": 1}, {"dates": "never"}, {"n_jobs": 0}, {"dropout": 1.0}):
        failing = model.set_params(**wrong)
        (name,) = wrong
        with pytest.raises(ValueError, match=f"The '{name}' parameter of {kind.__name__} must be"):
            failing.fit(X, target(X, kind))
        model.set_params(**{name: clone(fits[kind]).get_params()[name]})
    with pytest.raises(ValueError, match="y"):
        model.fit(X, np.full(ROWS, np.nan))
    np.testing.assert_array_equal(answers(model, X), before)


@BOTH
def test_a_stream_is_not_offered_and_says_so(kind):
    assert not hasattr(kind(), "partial_fit")
    with pytest.raises(AttributeError, match="has no partial_fit, since folds, bins and neighbors"):
        kind().partial_fit(frame(), target(frame(), kind))


@pytest.mark.parametrize("n", [2, 5, 30])
def test_few_rows_and_rare_classes(n):
    X = frame(n)
    y = np.array(["a"] * (n - 1) + ["b"])
    model = TabularMLPClassifier(**QUICK).fit(X, y)
    assert model.predict_proba(X).shape == (n, 2)
    one = TabularMLPClassifier(**QUICK).fit(X, ["a"] * n)
    assert set(one.predict(X)) == {"a"}
    assert np.isfinite(TabularMLPRegressor(**QUICK).fit(X, np.arange(n) * 1e9).predict(X)).all()


@pytest.mark.parametrize("factor", [1e-200, 1e-12, 1e12, 1e200])
def test_a_target_of_any_unit(fits, factor):
    X = frame()
    y = target(X, TabularMLPRegressor)
    model = TabularMLPRegressor(**QUICK).fit(X, factor * y)
    expected = fits[TabularMLPRegressor].predict(X)
    np.testing.assert_allclose(model.predict(X) / factor, expected, rtol=1e-2, atol=1e-2)
    assert model.oof_score_ == pytest.approx(fits[TabularMLPRegressor].oof_score_, abs=1e-2)
    assert model.score(X, factor * y) < 0.999


@BOTH
def test_columns_that_are_all_constant_leave_the_best_constant(kind):
    y = target(frame(), kind)
    model = kind(**QUICK).fit(np.ones((ROWS, 2)), y)
    found = answers(model, np.ones((3, 2)))
    if kind is TabularMLPRegressor:
        np.testing.assert_allclose(found, np.mean(y), rtol=1e-5)
    else:
        shares = np.unique(y, return_counts=True)[1] / ROWS
        np.testing.assert_allclose(found, [shares] * 3, atol=1e-3)


def test_no_warning_in_an_ordinary_fit(fits):
    X = frame()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(fits[TabularMLPRegressor]).fit(X, target(X, TabularMLPRegressor)).predict(X)


# -------------------- members that diverge


def diverging(monkeypatch, is_to_fail):
    """Let epochs of descents be no finite number where `is_to_fail(number of descent, call)`."""
    numbers, calls, epoch = {}, {}, Descent.epoch

    def failing(self, epochs_before):
        number = numbers.setdefault(id(self), (len(numbers), self))[0]
        calls[number] = calls.get(number, 0) + 1
        loss = epoch(self, epochs_before)
        return np.nan if is_to_fail(number, calls[number]) else loss

    monkeypatch.setattr(Descent, "epoch", failing)


@BOTH
def test_a_member_that_diverges_once_goes_on_at_half_its_rate(kind, monkeypatch):
    X = frame()
    diverging(monkeypatch, lambda number, call: number == 1 and call == 2)
    with pytest.warns(RuntimeWarning, match=r"Member 2 \(now at 0.04\) of 2 diverged in epoch 2"):
        model = kind(**QUICK).fit(X, target(X, kind))
    assert model.n_members_ == 4
    assert np.isfinite(model.oof_score_)


@BOTH
def test_a_member_that_always_diverges_is_left_out(kind, monkeypatch):
    X = frame()
    diverging(monkeypatch, lambda number, call: number == 0 and call > 2)
    with pytest.warns(RuntimeWarning, match=r"Member 1 of 2 diverged in epoch 3, .* left out"):
        model = kind(**QUICK).fit(X, target(X, kind))
    assert model.n_members_ == 3
    assert np.isfinite(answers(model, X)).all()
    missing = np.isnan(model.oof_prediction_).reshape(ROWS, -1).all(axis=1)
    assert abs(np.mean(missing) - 0.5) < 0.05  # the rows that it alone would have judged


@BOTH
def test_where_all_members_diverge_nothing_is_published(kind, monkeypatch):
    X = frame()
    diverging(monkeypatch, lambda number, call: True)
    model = kind(**QUICK)
    with (
        pytest.warns(RuntimeWarning, match="left out, whose training diverged"),
        pytest.raises(ValueError, match=r"All members diverged: .*lower learning_rate_init"),
    ):
        model.fit(X, target(X, kind))
    assert not hasattr(model, "n_members_")


@BOTH
def test_where_all_members_diverge_late_the_best_so_far_answer(kind, monkeypatch):
    X = frame()
    diverging(monkeypatch, lambda number, call: call > 2)
    with pytest.warns(RuntimeWarning, match="The best parameters so far are kept") as caught:
        model = kind(**QUICK).fit(X, target(X, kind))
    assert len(caught) == 2  # kinds of members
    assert model.n_members_ == 4
    assert model.best_epochs_ == [2, 2]
    assert np.isfinite(answers(model, X)).all()


@BOTH
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), "interrupted by user"),
        (Broken("It has ended."), "It has ended."),
        (Diverged("It is not finite."), None),
    ],
)
def test_a_second_schedule_that_fails_leaves_the_first(kind, error, told, monkeypatch):
    X, once, calls = frame(), rooms_of_members._once, []

    def first_alone(*given):
        calls.append(given)
        if len(calls) == 2:
            raise error
        return once(*given)

    monkeypatch.setattr(rooms_of_members, "_once", first_alone)
    monkeypatch.setattr(rooms_of_members, "ANNEALED", 2.0)  # so that there is a second one
    model = kind(**(QUICK | {"n_neighbors": None}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, target(X, kind))
    assert len(calls) == 2
    assert [told in str(w.message) for w in caught] == ([True] if told else [])
    assert np.isfinite(answers(model, X)).all()


def test_an_interruption_of_the_second_schedule_is_one_of_the_fit(monkeypatch):
    X, once, calls = frame(), rooms_of_members._once, []

    def worse(*given):
        members = once(*given)
        calls.append(members)
        if len(calls) == 2:
            return replace(members, loss=np.inf, outcome=Outcome("It was.", "interrupted"))
        return members

    monkeypatch.setattr(rooms_of_members, "_once", worse)
    monkeypatch.setattr(rooms_of_members, "ANNEALED", 2.0)
    model = TabularMLPRegressor(**QUICK)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, target(X, TabularMLPRegressor))
    assert len(calls) == 2  # the other kind has not begun
    assert model.n_members_ == 2


# -------------------- distributions of several members


@pytest.mark.parametrize("name", ["gaussian", "laplace", "poisson", "gamma", "negative_binomial"])
def test_distributions_of_members_are_mixed(name):
    X = frame(200)
    y = 1.0 + np.random.default_rng(0).integers(0, 6, 200)
    model = TabularMLPRegressor(head=name, **QUICK).fit(X, y)
    mixture = model.predict(X, return_distribution=True)
    parts = [part for part in mixture.components if part is not None]
    weights = np.array(mixture.shares)
    assert np.sum(weights) == pytest.approx(1)
    means = np.array([part.mean() for part in parts])
    np.testing.assert_allclose(mixture.mean(), weights @ means, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X), mixture.mean(), rtol=1e-5)
    grid = 2.5 if mixture.is_discrete else 2.7
    cdf = weights @ np.array([part.cdf(grid) for part in parts])
    np.testing.assert_allclose(mixture.cdf(grid), cdf)
    spread = weights @ (np.array([part.var() for part in parts]) + means**2) - mixture.mean() ** 2
    np.testing.assert_allclose(mixture.std() ** 2, spread, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X, return_std=True)[1], mixture.std())
    for level in (0.05, 0.5, 0.95):
        at = mixture.ppf(level)
        step = 1.0 if mixture.is_discrete else 1e-6 * np.abs(at)
        assert np.all(mixture.cdf(at) >= level - 1e-9)
        assert np.all(mixture.cdf(at - step) < level)
    low = model.predict(X, coverage=0.9)[:, 0]
    np.testing.assert_allclose(low, mixture.ppf(0.05), rtol=1e-12)
    drawn = mixture.rvs(size=(4000, 200), random_state=0)
    deviation = np.std(drawn, axis=0)
    np.testing.assert_allclose(np.mean(drawn, axis=0), mixture.mean(), atol=0.1 * deviation.max())
