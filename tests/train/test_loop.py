"""The training loop: it learns, averages, stops early, says how it goes, and draws from no stream but its own."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from tests.train.small import NextItem, loss_of, made_passes, share_right

from matinee.core.errors import MatineeError, SettingsError
from matinee.core.run import Run, Step
from matinee.train.loop import train
from matinee.train.plan import Plan, average_at, rate_at

PLAN = Plan(passes=4, warmup=3, rate=0.02, seed=3)


def test_it_learns_what_follows_what():
    network = NextItem()
    before = share_right(network)
    done = train(network, loss_of, made_passes(12), replace(PLAN, passes=12, average=0.9), validate=share_right)
    network.load_state_dict(done.best)
    network.eval()
    assert before < 0.5 < 0.9 < share_right(network) == done.validation
    assert done.predictions == 12 * 12 * 32
    assert done.curve[0].loss > 2 * done.curve[-1].loss
    assert [point.predictions for point in done.curve] == [384 * n for n in range(1, 13)]
