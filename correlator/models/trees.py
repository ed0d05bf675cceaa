"""River's Half-Space Trees with a state that is bytes: versioned msgpack, no pickle.

The state carries the trees themselves (features, thresholds, masses), not only their seed, so that a model
restored years later scores as it did even where a newer River or Python would draw other trees.

May not know: events, habits, what a feature means. Invariants: `trees_from(m.state())` scores and encodes
as *m* does, now and after learning the same; the size is fixed by (trees, height).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, cast

import msgspec
from river.anomaly import HalfSpaceTrees
from river.tree.padded import PaddedBranch, PaddedLeaf

from correlator.models.state import StateFormatError

N_TREES = 10
HEIGHT = 6
WINDOW_SIZE = 250


class _Node(Protocol):
    l_mass: int
    r_mass: int


class _Branch(_Node, Protocol):
    feature: str
    threshold: float
    children: tuple[_Node, _Node]


class _River(Protocol):
    """What is used of `river.anomaly.HalfSpaceTrees`, which is annotated in part only."""

    trees: list[_Branch]
    _tree_nodes: list[list[_Node]]
    counter: int
    _first_window: bool

    def learn_one(self, x: dict[str, float]) -> None: ...

    def score_one(self, x: dict[str, float]) -> float: ...


class TreesState(msgspec.Struct, frozen=True, array_like=True):
    """Nodes of all trees, each from its root, left before right. Leaves have no feature and no threshold."""

    seed: int
    features: tuple[str, ...]
    counter: int  # learned since the last window
    is_warm: bool
    split_on: bytes  # index into *features* of every branch
    thresholds: tuple[float, ...]  # of every branch
    reference: tuple[int, ...]  # masses of the last whole window, every node
    latest: tuple[int, ...]  # masses of the window being learned


class Trees:
    """One model over a fixed set of features, each in [0, 1]."""

    __slots__ = ("_features", "_river", "_seed")

    def __init__(self, features: Sequence[str], seed: int) -> None:
        self._features = tuple(features)
        self._seed = seed
        self._river = _new(seed)

    @property
    def is_warm(self) -> bool:
        """Whether a first window was learned. Before that every score is 0."""
        return not self._river._first_window  # noqa: SLF001

    def score(self, x: dict[str, float]) -> float:
        """0 usual .. 1 unusual; 0 while not warm. Changes nothing."""
        return float(self._river.score_one(x))

    def learn(self, x: dict[str, float]) -> None:
        """Count *x*, which must have exactly the model's features."""
        self._river.learn_one(x)

    def state(self) -> TreesState:
        """The whole model as a value."""
        river = self._river
        nodes = [node for tree in river._tree_nodes for node in tree]  # noqa: SLF001
        branches = [cast("_Branch", node) for node in nodes if isinstance(node, PaddedBranch)]
        code = {name: i for i, name in enumerate(self._features)}
        return TreesState(
            self._seed,
            self._features,
            river.counter,
            self.is_warm,
            bytes([code[branch.feature] for branch in branches]),
            tuple([branch.threshold for branch in branches]),
            tuple([node.r_mass for node in nodes]),
            tuple([node.l_mass for node in nodes]),
        )


def trees_from(state: TreesState) -> Trees:
    """The model that *state* was taken of. Raises StateFormatError if it holds no whole trees."""
    trees = Trees(state.features, state.seed)
    if not state.reference:
        return trees
    branches, nodes = N_TREES * (2**HEIGHT - 1), N_TREES * (2 ** (HEIGHT + 1) - 1)
    sizes = (len(state.split_on), len(state.thresholds), len(state.reference), len(state.latest))
    if sizes != (branches, branches, nodes, nodes) or max(state.split_on) >= len(state.features):
        raise StateFormatError(f"state of {N_TREES} trees of height {HEIGHT} expected, found {sizes} values")
    splits = iter(zip([state.features[i] for i in state.split_on], state.thresholds, strict=True))
    masses = iter(zip(state.reference, state.latest, strict=True))
    river = trees._river  # noqa: SLF001
    roots = [_tree(HEIGHT, splits, masses) for _ in range(N_TREES)]
    river.trees = [cast("_Branch", root) for root in roots]
    river._tree_nodes = [list(_nodes(root)) for root in roots]  # noqa: SLF001
    river.counter = state.counter
    river._first_window = not state.is_warm  # noqa: SLF001
    return trees


# River's constructors are not annotated.
_make_branch = cast("Callable[[_Node, _Node, str, float, int, int], _Branch]", PaddedBranch)
_make_leaf = cast("Callable[..., _Node]", PaddedLeaf)


def _new(seed: int) -> _River:
    return cast("_River", HalfSpaceTrees(n_trees=N_TREES, height=HEIGHT, window_size=WINDOW_SIZE, seed=seed))


def _tree(height: int, splits: Iterator[tuple[str, float]], masses: Iterator[tuple[int, int]]) -> _Node:
    r_mass, l_mass = next(masses)
    if height == 0:
        return _make_leaf(r_mass=r_mass, l_mass=l_mass)
    feature, threshold = next(splits)
    left = _tree(height - 1, splits, masses)
    right = _tree(height - 1, splits, masses)
    return _make_branch(left, right, feature, threshold, l_mass, r_mass)


def _nodes(node: _Node) -> Iterator[_Node]:
    yield node
    if isinstance(node, PaddedBranch):
        for child in cast("_Branch", node).children:
            yield from _nodes(child)
