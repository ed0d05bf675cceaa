"""River's Half-Space Trees, with what repeats reckoned once, and with a state that is bytes (no pickle).

River draws the trees, and says what a score is: `score` and `learn` give exactly what
`river.anomaly.HalfSpaceTrees` gives (a test holds them together), and are many times faster. Cuts never
change, so points between the same cuts take the same ways through all trees: such a *cell* is walked once,
its score is reckoned once a window, and what is learned in it is a count until the window ends.

River is loaded when trees are drawn, not before: it brings scipy, which takes seconds that a process with a
state to restore would wait for, and every command.

The state carries the trees themselves (features, thresholds, masses), not only their seed, so that a model
restored years later scores as it did even where a newer River or Python would draw other trees.

May not know: events, habits, what a feature means. Invariants: `trees_from(m.state())` scores and encodes
as *m* does, now and after learning the same; the size is fixed by (trees, height), cells are bounded.

Source: Tan, Ting, Liu: Fast Anomaly Detection for Streaming Data, IJCAI 2011, as River 0.26 implements it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Protocol, cast

import msgspec

from correlator.models.state import StateFormatError

N_TREES = 10
HEIGHT = 6
WINDOW_SIZE = 250
CELLS_MAX = 10_000  # that are remembered

_NODES = (2 << HEIGHT) - 1  # of a tree; a node's left child is the next one
_BRANCHES = (1 << HEIGHT) - 1
_SIZE_LIMIT = 0.1 * WINDOW_SIZE  # the walk of a score ends at a node with fewer points
_SCORE_MAX = N_TREES * WINDOW_SIZE * _NODES


class _Branch(Protocol):
    feature: str
    threshold: float


class _River(Protocol):
    """What is used of `river.anomaly.HalfSpaceTrees`, which is annotated in part only."""

    _tree_nodes: list[list[object]]

    def learn_one(self, x: dict[str, float]) -> None: ...


def load_river() -> tuple[Callable[..., _River], type]:
    """River's trees, and the class of their branches. The first time it takes a second or two."""
    trees, padded = import_module("river.anomaly"), import_module("river.tree.padded")
    return trees.HalfSpaceTrees, padded.PaddedBranch


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


class _Cell:
    """Points between the same cuts. *ways*: the nodes that they pass, tree by tree from its root."""

    __slots__ = ("count", "score", "ways")

    def __init__(self, ways: tuple[int, ...]) -> None:
        self.ways = ways
        self.count = 0  # learned since the last window and not in its masses yet
        self.score: float | None = None  # by the last whole window


class Trees:
    """One model over a fixed set of features, each in [0, 1]."""

    __slots__ = (
        "_asked",
        "_cells",
        "_counter",
        "_cuts",
        "_features",
        "_latest",
        "_reference",
        "_seed",
        "_split_on",
        "_thresholds",
        "is_warm",
    )

    def __init__(self, features: Sequence[str], seed: int) -> None:
        self.is_warm = False  # a first window was learned; before that every score is 0
        self._features, self._seed, self._counter = tuple(features), seed, 0
        self._split_on, self._thresholds = b"", list[float]()  # of every branch; drawn when first learned
        self._reference, self._latest = list[int](), list[int]()  # masses of every node
        self._cuts: list[list[float]] = []  # by feature, ascending
        self._cells: dict[tuple[int, ...], _Cell] = {}
        self._asked: tuple[object, _Cell] = (None, _Cell(()))  # the last point, and its cell

    def score(self, x: dict[str, float]) -> float:
        """0 usual .. 1 unusual; 0 while not warm. Changes nothing."""
        if not self.is_warm:
            return 0.0
        cell = self._cell(x)
        if cell.score is None:
            cell.score = self._score(cell.ways)
        return cell.score

    def learn(self, x: dict[str, float]) -> None:
        """Count *x*, which must have exactly the model's features."""
        if not self._split_on:
            self._draw(x)
        self._cell(x).count += 1
        self._counter += 1
        if self._counter == WINDOW_SIZE:
            self._settle()
            self._reference, self._latest = self._latest, [0] * len(self._latest)
            self._counter, self.is_warm = 0, True
            for cell in self._cells.values():
                cell.score = None

    def state(self) -> TreesState:
        """The whole model as a value."""
        self._settle()
        return TreesState(
            self._seed,
            self._features,
            self._counter,
            self.is_warm,
            self._split_on,
            tuple(self._thresholds),
            tuple(self._reference),
            tuple(self._latest),
        )

    def _draw(self, x: dict[str, float]) -> None:
        """River draws its trees when it sees a first point."""
        make, branch = load_river()
        river = make(n_trees=N_TREES, height=HEIGHT, window_size=WINDOW_SIZE, seed=self._seed)
        river.learn_one(x)
        nodes = [node for tree in river._tree_nodes for node in tree]  # noqa: SLF001
        branches = [cast("_Branch", node) for node in nodes if isinstance(node, branch)]
        code = {name: i for i, name in enumerate(self._features)}
        self._take(bytes([code[b.feature] for b in branches]), [b.threshold for b in branches])
        self._reference, self._latest = [0] * len(nodes), [0] * len(nodes)

    def _take(self, split_on: bytes, thresholds: list[float]) -> None:
        self._split_on, self._thresholds = split_on, thresholds
        cuts = [set[float]() for _ in self._features]
        for feature, threshold in zip(split_on, thresholds, strict=True):
            cuts[feature].add(threshold)
        self._cuts = [sorted(found) for found in cuts]

    def _cell(self, x: dict[str, float]) -> _Cell:
        if x is self._asked[0]:  # what is learned was scored just before
            return self._asked[1]
        values = [x[name] for name in self._features]
        key = tuple([bisect_right(cuts, value) for cuts, value in zip(self._cuts, values, strict=True)])
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= CELLS_MAX:
                self._settle()
                self._cells.clear()
            cell = self._cells[key] = _Cell(tuple(self._walk(values)))
        self._asked = (x, cell)
        return cell

    def _walk(self, values: Sequence[float]) -> Iterator[int]:
        """The nodes that a point with these *values* passes in each tree."""
        for tree in range(N_TREES):
            node, branch, below = tree * _NODES, tree * _BRANCHES, _BRANCHES
            for _ in range(HEIGHT):
                yield node
                below //= 2  # branches below each child
                is_right = values[self._split_on[branch]] >= self._thresholds[branch]
                node += 1 + is_right * (2 * below + 1)
                branch += 1 + is_right * below
            yield node

    def _score(self, ways: tuple[int, ...]) -> float:
        score, reference = 0.0, self._reference
        for start in range(0, len(ways), HEIGHT + 1):
            of_tree = 0.0
            for depth, node in enumerate(ways[start : start + HEIGHT + 1]):
                mass = reference[node]
                of_tree += float(mass << depth)
                if mass < _SIZE_LIMIT:
                    break
            score += of_tree
        return 1 - score / _SCORE_MAX

    def _settle(self) -> None:
        """What was counted in cells goes into the masses of the window."""
        latest = self._latest
        for cell in self._cells.values():
            if cell.count:
                for node in cell.ways:
                    latest[node] += cell.count
                cell.count = 0


def trees_from(state: TreesState) -> Trees:
    """The model that *state* was taken of. Raises StateFormatError if it holds no whole trees."""
    trees = Trees(state.features, state.seed)
    if not state.reference:
        return trees
    branches, nodes = N_TREES * _BRANCHES, N_TREES * _NODES
    sizes = (len(state.split_on), len(state.thresholds), len(state.reference), len(state.latest))
    if sizes != (branches, branches, nodes, nodes) or max(state.split_on) >= len(state.features):
        raise StateFormatError(f"state of {N_TREES} trees of height {HEIGHT} expected, found {sizes} values")
    trees._take(state.split_on, list(state.thresholds))  # noqa: SLF001
    trees._reference, trees._latest = list(state.reference), list(state.latest)  # noqa: SLF001
    trees._counter, trees.is_warm = state.counter, state.is_warm  # noqa: SLF001
    return trees
