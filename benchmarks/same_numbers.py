"""Print how far skmlp's fitted numbers are from scikit-learn's, over all cases of the tests.

Run it from the root of the checkout: python benchmarks/same_numbers.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests"))

import sklearn  # noqa: E402
from test_same_numbers import GROUPS, compare, missing_in_scikit_learn, too_far  # noqa: E402

COLUMNS = ("coefs_", "intercepts_", "elements", "loss_curve_", "losses", "scores", "predictions")


def main() -> None:
    """Fit every case with both libraries and print one row for each group of cases."""
    print(f"Worst relative differences from scikit-learn {sklearn.__version__}\n")
    print("| group | cases | within limits |", " | ".join(COLUMNS), "|")
    print("| --- |" + " ---: |" * (len(COLUMNS) + 2))
    everything = {"float64": [], "float32": []}
    for group, members in GROUPS.items():
        cases = [case for case in members if not missing_in_scikit_learn(case)]
        found = [(group, compare(case)) for case in cases]
        print(row(group, found))
        everything["float32" if group == "float32" else "float64"] += found
    for dtype, found in everything.items():
        print(row(f"**all {dtype}**", found))


def row(name: str, found: list) -> str:
    """Write the row of a group: how many cases, how many of them within limits, the worst."""
    good = sum(not too_far(one, group) and not one.unequal for group, one in found)
    cells = [name, str(len(found)), str(good)]
    for column in COLUMNS:
        values = [one.worst[column] for _, one in found if column in one.worst]
        cells.append(f"{max(values):.1e}" if values else "")
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
