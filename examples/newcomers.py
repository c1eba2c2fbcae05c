"""Newcomers: an asker is a history, so somebody who came a minute ago is answered at once.

python examples/newcomers.py
"""

import matinee
from matinee.simulate import SimulationOptions, simulate_log


def main() -> None:
    log = simulate_log(SimulationOptions(viewers=600, items=300, events=15_000))
    model = matinee.fit(log, "item_knn")

    watched = log.items.ids(log.histories.row(0)[-3:])
    for known in range(len(watched) + 1):
        answer = model.recommend_history([watched[:known]], k=3).to_arrow().to_pylist()
        shown = ", ".join(row["item"] for row in answer)
        print(f"after {known} events: {shown}   ({answer[0]['source']})")

    # An id that the catalogue has never heard of is ignored, not an error.
    answer = model.recommend_history([["no-such-item"]], k=1).to_arrow().to_pylist()
    print(f"after an unknown item: {answer[0]['item']}   ({answer[0]['source']})")


if __name__ == "__main__":
    main()
