"""What every model must keep to: no change of its input, seeded, restorable, bounded, not warm too early."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any, Protocol

import msgspec
import pytest
from river.anomaly import HalfSpaceTrees

from correlator.models import trees
from correlator.models.percentile import TOTAL_MAX, Percentile, PercentileState, percentile_from
from correlator.models.trees import HEIGHT, N_TREES, WINDOW_SIZE, Trees, TreesState, trees_from

AXES = ("a", "b", "c")


class Model(Protocol):
    """The same verbs for all."""

    def learn(self, x: dict[str, float]) -> None: ...

    def score(self, x: dict[str, float]) -> float: ...

    def encode(self) -> bytes: ...

    def restored(self) -> Model: ...

    @property
    def is_warm(self) -> bool: ...


class TreesModel:
    def __init__(self, trees: Trees | None = None) -> None:
        self.trees = trees or Trees(AXES, seed=7)

    def learn(self, x: dict[str, float]) -> None:
        self.trees.learn(x)

    def score(self, x: dict[str, float]) -> float:
        return self.trees.score(x)

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self.trees.state())

    def restored(self) -> TreesModel:
        return TreesModel(trees_from(msgspec.msgpack.decode(self.encode(), type=TreesState)))

    @property
    def is_warm(self) -> bool:
        return self.trees.is_warm


class PercentileModel:
    def __init__(self, percentile: Percentile | None = None) -> None:
        self.percentile = percentile or Percentile()

    def learn(self, x: dict[str, float]) -> None:
        self.percentile.remember(x["a"])

    def score(self, x: dict[str, float]) -> float:
        return self.percentile.rank(x["a"])

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self.percentile.state())

    def restored(self) -> PercentileModel:
        return PercentileModel(percentile_from(msgspec.msgpack.decode(self.encode(), type=PercentileState)))

    @property
    def is_warm(self) -> bool:
        return self.percentile.total > 0


models = pytest.mark.parametrize("make", [TreesModel, PercentileModel])
Make = Callable[[], Model]


def samples(count: int, seed: int = 1) -> list[dict[str, float]]:
    random = Random(seed)
    return [{axis: random.betavariate(1, 5) for axis in AXES} for _ in range(count)]


def learned(make: Make, count: int) -> Model:
    model = make()
    for x in samples(count):
        model.learn(x)
    return model


@models
def test_neither_score_nor_learn_changes_its_input(make: Make) -> None:
    model = learned(make, WINDOW_SIZE)
    x = samples(1, seed=2)[0]
    before = deepcopy(x)
    model.score(x)
    model.learn(x)
    assert x == before


@models
def test_a_score_changes_nothing(make: Make) -> None:
    model = learned(make, WINDOW_SIZE + 10)
    before = model.encode()
    for x in samples(50, seed=2):
        model.score(x)
    assert model.encode() == before


@models
def test_the_same_seed_and_input_give_the_same_bytes(make: Make) -> None:
    assert learned(make, 600).encode() == learned(make, 600).encode()


@models
@pytest.mark.parametrize("count", [0, 1, WINDOW_SIZE - 1, WINDOW_SIZE, 777])
def test_a_restored_model_goes_on_as_if_nothing_had_happened(make: Make, count: int) -> None:
    model = learned(make, count)
    restored = model.restored()
    assert restored.encode() == model.encode()
    for x in samples(2 * WINDOW_SIZE, seed=3):
        assert restored.score(x) == pytest.approx(model.score(x), abs=1e-12)
        model.learn(x)
        restored.learn(x)
    assert restored.encode() == model.encode()
    assert restored.is_warm == model.is_warm


@models
def test_what_one_model_learns_another_does_not(make: Make) -> None:
    model = learned(make, 300)
    before = model.encode()
    restored = model.restored()
    for x in samples(300, seed=4):
        restored.learn(x)
    assert model.encode() == before


@models
def test_it_is_not_warm_and_scores_nothing_before_it_learned(make: Make) -> None:
    model = make()
    assert not model.is_warm
    assert model.score(samples(1)[0]) == 0.0


def test_trees_are_warm_after_exactly_one_window() -> None:
    assert not learned(TreesModel, WINDOW_SIZE - 1).is_warm
    assert learned(TreesModel, WINDOW_SIZE).is_warm


def test_the_state_of_trees_has_a_fixed_size() -> None:
    state = learned(TreesModel, 3 * WINDOW_SIZE + 5)
    assert isinstance(state, TreesModel)
    nodes = N_TREES * (2 ** (HEIGHT + 1) - 1)
    assert len(state.trees.state().reference) == len(state.trees.state().latest) == nodes
    assert len(state.encode()) < 16_000


def test_the_state_of_a_percentile_is_bounded() -> None:
    model = PercentileModel()
    random = Random(5)
    for _ in range(2 * TOTAL_MAX):
        model.percentile.remember(random.random() ** 0.1)
    assert model.percentile.total < TOTAL_MAX
    assert len(model.encode()) < 6_000


def test_an_outlier_scores_above_what_was_learned() -> None:
    model = learned(TreesModel, 2 * WINDOW_SIZE)
    usual = max(model.score(x) for x in samples(100, seed=6))
    assert model.score(dict.fromkeys(AXES, 1.0)) > usual


@pytest.mark.parametrize("spread", [(1, 5), (1, 1), (0.05, 0.2)])
def test_the_trees_say_exactly_what_rivers_own_say(spread: tuple[float, float]) -> None:
    random = Random(5)
    river: Any = HalfSpaceTrees(N_TREES, HEIGHT, WINDOW_SIZE, seed=9)
    ours = Trees(AXES, seed=9)
    for number in range(1_200):
        x = {axis: round(random.betavariate(*spread), random.choice((1, 6))) for axis in AXES}
        assert ours.score(x) == river.score_one(x)
        if number % 3:
            ours.learn(x)
            river.learn_one(x)
    masses = [(node.r_mass, node.l_mass) for tree in river._tree_nodes for node in tree]
    assert list(zip(ours.state().reference, ours.state().latest, strict=True)) == masses


def test_trees_forget_cells_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    wide, narrow = Trees(AXES, seed=3), Trees(AXES, seed=3)
    for x in samples(600):
        wide.learn(x)
        with monkeypatch.context() as patched:
            patched.setattr(trees, "CELLS_MAX", 5)
            narrow.learn(x)
            assert narrow.score(x) == wide.score(x)
    assert narrow.state() == wide.state()
