"""Fits weights over sparse features, and nothing more: no thread, no chance."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

from mcp_router.inference.features import Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """Which features are learnt."""

    words: dict[str, int]
    signs: dict[str, int]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.words) + len(self.signs)


def space(readings: Sequence[Reading], origins: Sequence[str], least: int, most: int) -> Space:
    """Keeps features seen in `least` origins, the most frequent first."""
    words: defaultdict[str, set[str]] = defaultdict(set)
    signs: defaultdict[str, set[str]] = defaultdict(set)
    for reading, origin in zip(readings, origins, strict=True):
        for word in reading.words:
            words[word].add(origin)
        for sign in reading.signs:
            signs[sign].add(origin)

    def kept(found: dict[str, set[str]], room: int) -> list[str]:
        counted = Counter({name: len(where) for name, where in found.items() if len(where) >= least})
        return sorted(sorted(counted, key=lambda name: (-counted[name], name))[:room])

    sign_list = kept(signs, most // 2)
    word_list = kept(words, most - len(sign_list))
    return Space(
        words={name: at for at, name in enumerate(word_list)},
        signs={name: at + len(word_list) for at, name in enumerate(sign_list)},
    )


def matrix(
    readings: Sequence[Reading], where: Space, *, word_scale: float, drop: Sequence[bool] | None = None
) -> sparse.csr_matrix:
    """Returns the features as rows; those told to drop keep no word, so that concepts learn to stand alone."""
    data: list[float] = []
    columns: list[int] = []
    starts = [0]
    for at, reading in enumerate(readings):
        dropped = drop is not None and drop[at]
        known = [] if dropped else [where.words[word] for word in reading.words if word in where.words]
        signs = [
            where.signs[sign] for sign in reading.signs if sign in where.signs and not (dropped and _is_word(sign))
        ]
        columns.extend([*known, *signs])
        data.extend([word_scale / np.sqrt(len(known) + 4)] * len(known))
        data.extend([1.0] * len(signs))
        starts.append(len(columns))
    return sparse.csr_matrix(
        (np.array(data), np.array(columns, dtype=np.int32), np.array(starts)), shape=(len(readings), where.size)
    )


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
    """Returns weights and bias of a multinomial regression."""
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
