"""Fits weights over sparse features, and nothing more: no thread, no chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

from mcp_router.routing.inference.features import Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """Which features are learnt, as columns of everything that was read."""

    words: np.ndarray
    signs: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """Everything that was read: a row for each prompt, a column for each feature, words before signs."""

    names: tuple[str, ...]
    """In the order of the columns; of the words and of the signs each, by the alphabet."""
    words: int
    """How many columns are words."""
    read: sparse.csr_matrix
    """What stands in each prompt."""
    learnt: sparse.csr_matrix
    """The same, but for the prompts that lose their words, so that concepts learn to stand alone."""
    origins: sparse.csr_matrix
    """A row for each origin, a column for each prompt."""

    def space(self, chosen: np.ndarray, least: int, most: int) -> Space:
        """Keep features seen in `least` origins of the chosen prompts, the most frequent first."""
        counts = (self.origins[:, chosen] @ self.learnt[chosen] > 0).sum(axis=0).A1

        def kept(columns: np.ndarray, most: int) -> np.ndarray:
            known = columns[counts[columns] >= least]
            return np.sort(known[np.argsort(-counts[known], kind="stable")][:most])

        signs = kept(np.arange(self.words, len(self.names)), most // 2)
        return Space(words=kept(np.arange(self.words), most - len(signs)), signs=signs)

    def matrix(self, chosen: np.ndarray, where: Space, *, word_scale: float, whole: bool) -> sparse.csr_matrix:
        """Return the chosen prompts as rows of features; words weigh less each, the more there are."""
        rows = (self.read if whole else self.learnt)[chosen]
        words = rows[:, where.words]
        shares = word_scale / np.sqrt(np.diff(words.indptr) + 4)
        return sparse.hstack([sparse.diags(shares) @ words, rows[:, where.signs]], format="csr")


def sheet(readings: Sequence[Reading], origins: Sequence[str], dropped: np.ndarray) -> Sheet:
    """Write down everything that was read; those `dropped` are learnt without their words."""
    words = {word: at for at, word in enumerate(sorted(set(chain.from_iterable(one.words for one in readings))))}
    signs = sorted(set(chain.from_iterable(one.signs for one in readings)))
    places = {sign: len(words) + at for at, sign in enumerate(signs)}
    rows = [[*map(words.__getitem__, one.words), *map(places.__getitem__, one.signs)] for one in readings]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    columns = np.fromiter(chain.from_iterable(rows), np.int32, starts[-1])
    spelled = np.array([True] * len(words) + [_is_word(sign) for sign in signs])
    lost = spelled[columns] & np.repeat(dropped, np.diff(starts))
    shape = len(readings), len(words) + len(signs)
    read = sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=shape)
    learnt = sparse.csr_matrix(((~lost).astype(float), columns.copy(), starts.copy()), shape=shape)
    learnt.eliminate_zeros()
    known = {origin: at for at, origin in enumerate(dict.fromkeys(origins))}
    ones = np.ones(len(origins)), ([known[origin] for origin in origins], np.arange(len(origins)))
    return Sheet(names=(*words, *signs), words=len(words), read=read, learnt=learnt, origins=sparse.csr_matrix(ones))


def _is_word(sign: str) -> bool:
    return sign[0] not in "@#" and sign[:2] not in {"^@", "$@"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Rows to tell apart."""

    x: sparse.csr_matrix
    labels: np.ndarray
    weights: np.ndarray
    classes: int
    l2: float


def softmax(problem: Problem, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and bias of a multinomial regression."""
    x, classes = problem.x, problem.classes
    rows, size = x.shape
    one_hot = np.zeros((rows, classes))
    one_hot[np.arange(rows), problem.labels] = 1.0
    share = problem.weights / problem.weights.sum()
    xt = x.T.tocsr()

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat[: size * classes].reshape(size, classes)
        z = x @ w + flat[size * classes :]
        z -= z.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        gap = (np.exp(log_p) - one_hot) * share[:, None]
        value = -(share * log_p[np.arange(rows), problem.labels]).sum() + problem.l2 * (w * w).sum() / 2
        return float(value), np.concatenate([(xt @ gap + problem.l2 * w).ravel(), gap.sum(axis=0)])

    found = minimize(
        loss,
        np.zeros(size * classes + classes),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "maxfun": iterations * 2, "ftol": 1e-9},
    )
    return found.x[: size * classes].reshape(size, classes), found.x[size * classes :]
