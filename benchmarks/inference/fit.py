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


def matrix(readings: Sequence[Reading], where: Space, *, word_scale: float, drop: Sequence[bool] | None = None):
    """Returns the features as rows; those told to drop keep no word, so that concepts learn to stand alone."""
    data: list[float] = []
    columns: list[int] = []
    starts = [0]
    for at, reading in enumerate(readings):
        known = [where.words[word] for word in reading.words if word in where.words]
        signs = [where.signs[sign] for sign in reading.signs if sign in where.signs]
        if drop is not None and drop[at]:
            known = []
            signs = [
                where.signs[s]
                for s in reading.signs
                if s in where.signs and s[0] in "@#" or s[:2] in ("^@", "$@") and s in where.signs
            ]
        share = word_scale / np.sqrt(len(known) + 4)
        columns.extend(known)
        data.extend([share] * len(known))
        columns.extend(signs)
        data.extend([1.0] * len(signs))
        starts.append(len(columns))
    return sparse.csr_matrix(
        (np.array(data), np.array(columns, dtype=np.int32), np.array(starts)), shape=(len(readings), where.size)
    )


def softmax(x, labels, weights, classes: int, l2: float, iterations: int = 150):
    """Returns weights and bias of a multinomial regression."""
    rows, size = x.shape
    one_hot = np.zeros((rows, classes))
    one_hot[np.arange(rows), labels] = 1.0
    share = weights / weights.sum()
    xt = x.T.tocsr()

    def loss(flat):
        w = flat[: size * classes].reshape(size, classes)
        b = flat[size * classes :]
        z = x @ w + b
        z -= z.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        gap = (np.exp(log_p) - one_hot) * share[:, None]
        value = -(share * log_p[np.arange(rows), labels]).sum() + l2 * (w * w).sum() / 2
        return value, np.concatenate([(xt @ gap + l2 * w).ravel(), gap.sum(axis=0)])

    found = minimize(
        loss,
        np.zeros(size * classes + classes),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "maxfun": iterations * 2, "ftol": 1e-9},
    )
    return found.x[: size * classes].reshape(size, classes), found.x[size * classes :]
