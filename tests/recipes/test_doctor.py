from dataclasses import replace

import numpy as np
import pyarrow as pa

from matinee.core.types import histories_of
from matinee.data.counts import count
from matinee.data.log import InteractionLog
from matinee.data.options import LogOptions
from matinee.data.vocabulary import Vocabulary
from matinee.recipes.doctor import HOUR_MS, Sign, find_signs, hurried_viewers

START_MS = 1_700_000_000_000
DAY_MS = 24 * HOUR_MS


def log_of(lists: list[list[int]], n_items: int, step_ms: int = DAY_MS) -> InteractionLog:
    items = Vocabulary(str(i) for i in range(n_items))
    histories = histories_of(lists)
    places = np.concatenate([np.arange(len(row)) for row in lists]) if lists else np.zeros(0)
    return InteractionLog(
        viewers=Vocabulary(f"v{i}" for i in range(len(lists))),
        items=items,
        histories=replace(histories, times=(START_MS + places * step_ms).astype(np.int64)),
        item_table=pa.table({"id": items.arrow}),
        order="time",
    )


def signs(log: InteractionLog, options: LogOptions | None = None) -> dict[str, Sign]:
    return {sign.name: sign for sign in find_signs(log, count(log), options or LogOptions())}


def cycle(n: int, of: int) -> list[int]:
    return [i % of for i in range(n)]


def test_an_even_log_has_no_sign() -> None:
    assert signs(log_of([[(v + t) % 20 for t in range(6)] for v in range(20)], 20)) == {}


def test_a_viewer_far_above_the_median_is_suspected_at_any_rate() -> None:
    log = log_of([[0, 1, 2]] * 9 + [cycle(301, 20)], 20)
    assert signs(log)["suspected_bots"].examples == ("v9",)
    assert "suspected_bots" not in signs(log_of([[0, 1, 2]] * 9 + [cycle(300, 20)], 20))


def test_a_thousand_events_within_an_hour_are_nobodys_choice() -> None:
    # One event more than a thousand, in just under and in just an hour.
    fast, slow = HOUR_MS // 1000 - 1, HOUR_MS // 1000
    assert hurried_viewers(log_of([cycle(1001, 20)], 20, fast).histories).tolist() == [0]
    assert hurried_viewers(log_of([cycle(1001, 20)], 20, slow).histories).tolist() == []
    assert hurried_viewers(log_of([cycle(1000, 20)], 20, 0).histories).tolist() == []


def test_the_longest_of_the_hurried_comes_first_and_logs_without_times_have_none() -> None:
    log = log_of([cycle(1500, 20), [0], cycle(2500, 20)], 20, 10)
    assert hurried_viewers(log.histories).tolist() == [2, 0]
    assert hurried_viewers(replace(log.histories, times=None)).tolist() == []
    assert signs(log)["suspected_bots"].examples == ("v2", "v0")


def test_one_viewer_with_a_hundred_thousand_events() -> None:
    found = signs(log_of([cycle(100_000, 50)] + [[0, 1, 2]] * 3, 50))
    assert found["huge_histories"].number == 1
    assert found["huge_histories"].examples == ("v0",)
    assert found["suspected_bots"].number == 1
    assert "huge_histories" not in signs(log_of([cycle(99_999, 50)], 50))


def test_times_before_the_web() -> None:
    log = log_of([[0, 1, 2]], 3)
    times = np.array([0, 86_400_000, START_MS], dtype=np.int64)
    assert signs(replace(log, histories=replace(log.histories, times=times)))["ancient"].number == 2


def test_short_histories_and_items_watched_once() -> None:
    log = log_of([[v, v + 30] for v in range(30)] + [[1, 2, 3]], 60)
    found = signs(log)
    assert found["short_histories"].number == 30
    assert found["watched_once"].number == 57
    assert "watched_once" not in signs(log_of([[0], [1]], 2))


def test_few_items_that_hold_most_events() -> None:
    log = log_of([[0]] * 60 + [list(range(50))], 100)
    assert "few_hits" in signs(log)


def test_hints_go_where_the_option_is_in_use() -> None:
    log = log_of([[0, 0, 1, 0, 1]] * 4, 2)
    codes = np.array([0, 1, 0, 1, 0] * 4, dtype=np.int8)
    values = np.array([1, 2, 3, 4, 5] * 4, dtype=np.float32)
    log = replace(log, kinds=("view", "buy"), histories=replace(log.histories, kinds=codes, values=values))
    assert set(signs(log)) == {"kinds_alike", "low_values", "repeats"}
    assert '"rating>=4"' in signs(log)["low_values"].words
    assert set(signs(log, LogOptions(repeats=True, positive="rating>=4", target="buy"))) == set()


def test_counts_are_no_ratings() -> None:
    log = log_of([[0, 1, 2]], 3)
    values = np.array([1, 20, 4000], dtype=np.float32)
    assert "low_values" not in signs(replace(log, histories=replace(log.histories, values=values)))
