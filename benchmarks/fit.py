"""Time whole fits: skmlp, scikit-learn, PyTorch, and the bare matrix products, beside the goals.

Run it from the root of the checkout:

    python benchmarks/fit.py [--quick] [--threads 1|all|both] [--rounds N]
        [--clock wall|processor] [--without CONTENDER] [--json FILE] [NETWORK ...]

Name NETWORKs to measure some of them only. Every contender trains the same network from the same
weights through the same batches, warmed up, in turn (A B C, A B C, ...); a ratio is the median over
the rounds. A fit is all that a user waits for: checks, planning or construction, and training.
Contenders that are not installed are left out; `pip install -e '.[peers]'` brings PyTorch, skorch.
"""

import argparse
import json
import math
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

import contest
from contenders import CONTENDERS, differences
from networks import JOBS, RATIOS, Job, asked_for, data, written

ALIKE = 0.1  # relative: weights that differ more come from another network, or other batches


def main() -> None:
    options = read_options()
    facts = contest.machine()
    print(contest.described(facts), "\n")
    jobs = {name: JOBS[name] for name in options.network}
    if options.quick:
        jobs = {name: job.shorter() for name, job in jobs.items()}
    counts = {"1": [1], "all": [contest.cores()], "both": [1, contest.cores()]}[options.threads]
    settings = {key: getattr(options, key) for key in ("rounds", "clock", "without")}
    results = []
    for name, job in jobs.items():
        for threads in dict.fromkeys(counts):
            results.append(measure(name, job, threads, **settings))
            print(f"measured: {written(job)}; threads {threads}", file=sys.stderr, flush=True)
    for threads in dict.fromkeys(counts):
        print(f"\nMilliseconds a fit, threads {threads}: median (least-most)\n")
        print(times_table([result for result in results if result["threads"] == threads]))
    print(f"\nRatios beside the goals: threads {', '.join(map(str, counts))}; the worst counts\n")
    print(goals_table(results))
    if absent := left_out(results):
        print("\nLeft out:", *absent, sep="\n- ")
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": facts, "fits": results}, indent=1))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="*", metavar="NETWORK", help=f"of {', '.join(JOBS)}")
    parser.add_argument("--threads", choices=["1", "all", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--clock", choices=contest.CLOCKS, default="wall", help="processor: where others are busy"
    )
    parser.add_argument("--quick", action="store_true", help="a fifth of the steps")
    parser.add_argument(
        "--without", action="append", default=[], metavar="CONTENDER", choices=CONTENDERS
    )
    parser.add_argument("--json", metavar="FILE", help="write all seconds and ratios")
    options = parser.parse_args()
    if options.clock == "processor" and options.threads != "1":
        parser.error("--clock processor is for --threads 1: it adds up all threads")
    options.network = asked_for(parser, options.network)
    return options


def measure(
    name: str,
    job: Job,
    threads: int,
    rounds: int,
    *,
    clock: str = "wall",
    without: Collection[str] = (),
) -> dict[str, Any]:
    """Fit all contenders in turn, and check that they did the same."""
    X, y = data(job)
    fits, absent, trained = {}, {}, {}
    with contest.threads_held(threads), contest.quiet():
        for contender, prepare in CONTENDERS.items():
            try:
                if contender in without:
                    raise contest.NotHere("--without was given")
                fit = prepare(job, X, y)
                trained[contender] = fit()  # the warm-up
                fits[contender] = fit
            except contest.NotHere as reason:
                absent[contender] = str(reason)
        found = differences(trained, job)
        if unlike := {other: value for other, value in found.items() if not value < ALIKE}:
            raise RuntimeError(f"{name}: not the same training, weights differ by {unlike}")
        seconds = contest.in_turn(fits, rounds, clock)
    return {
        "network": name,
        "written": written(job),
        "threads": threads,
        "clock": clock,
        "rows": job.rows,
        "epochs": job.epochs,
        "steps": job.steps,
        "seconds": seconds,
        "ratios": {kind: contest.ratio(seconds, a, b) for kind, (a, b, _) in RATIOS.items()},
        "goals": job.goals,
        "differences": found,
        "absent": absent,
    }


# == tables ========================================================================================


def times_table(results: list[dict[str, Any]]) -> str:
    present = [name for name in CONTENDERS if any(name in r["seconds"] for r in results)]
    rows = [
        [
            result["written"],
            f"{result['rows']:,} x {result['epochs']}",
            *(
                contest.spread(result["seconds"][name]) if name in result["seconds"] else "-"
                for name in present
            ),
        ]
        for result in results
    ]
    return contest.table(["network", "rows x epochs", *present], rows)


def goals_table(results: list[dict[str, Any]]) -> str:
    head = ["network"] + [
        f"{over} / {under} ({direction})" for over, under, direction in RATIOS.values()
    ]
    by_network: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_network.setdefault(result["network"], []).append(result)
    rows = [
        [some[0]["written"], *(goal_cell(kind, some) for kind in RATIOS)]
        for some in by_network.values()
    ]
    return contest.table(head, rows)


def goal_cell(kind: str, results: list[dict[str, Any]]) -> str:
    """Write the ratio for each number of threads, and whether the worst meets the goal."""
    ratios = [result["ratios"][kind] for result in results]
    if None in ratios:
        return "-"
    text = " / ".join(f"{value:.2f}" for value in ratios)
    goal = results[0]["goals"].get(kind, math.nan)
    if math.isnan(goal):
        return text
    met = max(ratios) <= goal if RATIOS[kind][2] == "at most" else min(ratios) >= goal
    return f"{text}; goal {goal:g} {'met' if met else '**not met**'}"


def left_out(results: list[dict[str, Any]]) -> list[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for contender, reason in result["absent"].items():
            networks = reasons.setdefault((contender, reason), [])
            if result["network"] not in networks:
                networks.append(result["network"])
    return [f"{who}: {why} ({', '.join(where)})" for (who, why), where in reasons.items()]


if __name__ == "__main__":
    main()
