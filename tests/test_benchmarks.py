"""The benchmarks' contests are fair, and the check of their ratios can fail."""

import os
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import skmlp

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
sys.path.append(str(BENCHMARKS))

import check  # noqa: E402
import contenders  # noqa: E402
import contest  # noqa: E402
import networks  # noqa: E402
import step  # noqa: E402
import stream  # noqa: E402
import trees  # noqa: E402

from skmlp.engine import running  # noqa: E402

INSTALLED = ("skmlp float64", "skmlp float32", "scikit-learn float64", "bare")


# -- contests --------------------------------------------------------------------------------------


def test_contenders_run_in_turn():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "ABC"}
    seconds = contest.in_turn(runs, 3)
    assert calls == list("ABCABCABC")
    assert {name: len(values) for name, values in seconds.items()} == {"A": 3, "B": 3, "C": 3}


def test_a_ratio_is_taken_within_rounds():
    seconds = {"A": [1.0, 20.0, 3.0], "B": [1.0, 10.0, 1.0]}  # the machine was slow for one round
    assert contest.ratio(seconds, "A", "B") == 2
    assert contest.ratio(seconds, "A", "C") is None


@pytest.mark.parametrize("name", networks.JOBS)
def test_contenders_do_the_same_training(name):
    job = networks.JOBS[name]
    batch = 500 if job.solver == "lbfgs" else 32
    epochs, rows = (4, batch) if job.solver == "lbfgs" else (1, 2 * batch)
    job = replace(job, epochs=epochs, rows=rows, batch=batch)
    found = _trained(job, INSTALLED)
    assert len(found) >= 2
    assert max(contenders.differences(found, job).values()) < 1e-3


def test_other_batches_and_other_steps_are_noticed():
    job = replace(networks.JOBS["default"], epochs=2, rows=400)
    found = _trained(job, INSTALLED[:1]) | _trained(replace(job, batch=400), INSTALLED[1:2])
    with pytest.raises(RuntimeError, match="skmlp float32 took 2 steps of 4"):
        contenders.differences(found, job)
    found["skmlp float32"] = found["skmlp float32"]._replace(steps=4)
    assert contenders.differences(found, job)["skmlp float32"] > 1e-3


def _trained(job, names):
    X, y = networks.data(job)
    found = {}
    with contest.quiet():
        for name in names:
            try:
                found[name] = contenders.CONTENDERS[name](job, X, y)()
            except contest.NotHere:
                assert name in ("scikit-learn float64", "bare")
    return found


def test_the_bare_products_are_those_of_training():
    job = replace(networks.JOBS["256-256"], rows=512, epochs=1)
    X, y = networks.data(job)
    assert contenders.bare(job, X, y)().steps == job.steps == 2
    with pytest.raises(contest.NotHere, match="Adam and dense"):
        contenders.bare(networks.JOBS["sparse"], X, y)


def test_the_profile_of_a_step_names_every_call(capsys):
    job = replace(networks.JOBS["regression"], hidden=(3,), rows=64)
    with running():
        step.profile(job, np.float32)
    printed = capsys.readouterr().out
    objective, _ = step.objective_of(job, np.float32)
    assert len(re.findall(r"^\| \w+ \|", printed, re.MULTILINE)) - 1 == len(
        objective.program.step(job.batch).calls
    )
    assert "Matrix products" in printed


# -- in use ----------------------------------------------------------------------------------------


def test_early_and_late_calls_are_what_they_say():
    fed = []

    class Counting:
        def __init__(self):
            self.calls = 0

        def partial_fit(self, X, y, classes):
            assert len(X) == len(y) == stream.CHUNK
            assert len(classes) == 2
            self.calls += 1
            fed.append(self.calls)

    feed = stream.streamed(Counting(), 30)
    del fed[:]
    feed()
    assert fed == list(range(31, 41))
    feed = stream.early_calls(Counting, 3)
    del fed[:]
    contest.repeated(feed, 3)()
    assert fed == list(range(stream.EARLY + 1, stream.EARLY + 11)) * 3


def test_bytes_that_an_estimator_keeps_are_counted(monkeypatch):
    monkeypatch.setattr(stream, "ESTIMATORS", 5)
    X, y = stream.data(400)
    with contest.quiet():
        found = stream.bytes_held("predict", X, y)
        predict = skmlp.MLPClassifier.predict
        monkeypatch.setattr(
            skmlp.MLPClassifier, "predict", lambda self, X: setattr(self, "kept", predict(self, X))
        )
        keeping = stream.bytes_held("predict", X, y)
    assert 0 < found["fitted"] < 16 * stream.KB
    assert keeping["answered"] - found["answered"] == pytest.approx(8 * len(X), rel=0.2)


@pytest.mark.parametrize("part", stream.PARTS)
def test_estimators_in_use_are_measured(part, monkeypatch):
    small = stream.data(250)
    monkeypatch.setattr(stream, "data", lambda rows: (small[0][:rows], small[1][:rows]))
    monkeypatch.setattr(stream, "LATE", 12)
    monkeypatch.setattr(stream, "ESTIMATORS", 2)
    with contest.quiet():
        findings = list(stream.PARTS[part](1))
    assert len(findings) > 1
    assert all(np.isfinite(finding.value) and len(finding.cells) == 5 for finding in findings)


# -- the check -------------------------------------------------------------------------------------


def test_a_ratio_that_has_fallen_by_more_than_a_quarter_is_named(capsys):
    recorded = {"one": 4.0, "two": 4.0, "three": 4.0}
    measures = {"one": lambda rounds: 2.96, "two": lambda rounds: 3.04, "three": lambda rounds: 9.0}
    assert check.check(measures, recorded, 5) == ["one"]
    assert capsys.readouterr().out.count("FALLEN") == 1


def test_a_ratio_that_has_fallen_once_is_measured_again():
    ratios = iter([1.0, 2.0, 3.5, np.nan])
    assert check.best_of(lambda rounds: next(ratios), 3.0, 5) == 3.5
    ratios = iter([1.0, 2.0, 1.5, np.nan])
    assert check.best_of(lambda rounds: next(ratios), 3.0, 5) == 2.0
    ratios = iter([3.0, np.nan])
    assert check.best_of(lambda rounds: next(ratios), 3.0, 5) == 3.0


NETWORK = "fit, default, float32"

SLOWED = """
import runpy
import sys

from skmlp.engine.program import Step

run = Step.run


def run_five_times(step):
    for _ in range(5):
        run(step)


Step.run = run_five_times
sys.path.insert(0, "benchmarks")
sys.argv[1:1] = ["--short"]
runpy.run_path("benchmarks/check.py", run_name="__main__")
"""


@pytest.mark.long
def test_the_check_passes_here_and_fails_on_a_slowed_down_build():
    good = _check(["benchmarks/check.py", "--short", NETWORK])
    assert good.returncode == 0, good.stdout + good.stderr
    bad = _check(["-c", SLOWED, NETWORK])
    assert bad.returncode == 1, bad.stdout + bad.stderr
    assert f"More than 25 % below the recorded ratio: {NETWORK}" in bad.stderr


def _check(arguments):
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_another_checkout_is_timed_by_its_own_package(tmp_path):
    shutil.copytree(ROOT / "skmlp", tmp_path / "skmlp")
    with open(tmp_path / "skmlp" / "__init__.py", "a") as file:
        file.write(SLOWED.partition("sys.path")[0])
    options = Namespace(rounds=5, threads=1)
    assert trees.ratio(tmp_path, "default", "float64", options) < 0.7
