"""How well the best possible classifier ranks, when every row's probability is known."""

import numpy as np


def bayes_auc(probability: np.ndarray) -> float:
    """Expected AUC of ranking by the true probability of each row, over the labels it may draw.

    Args:
        probability: shape ``(n,)``, each strictly between 0 and 1, n >= 2.

    Returns:
        The chance that a random positive ranks above a random negative, ties counting one half. A row is never
        compared with itself.
    """
    p = np.sort(np.asarray(probability, dtype=np.float64))
    q = 1.0 - p
    _, first, count = np.unique(p, return_index=True, return_counts=True)
    below = np.concatenate([[0.0], np.cumsum(q)])
    wins = np.repeat(below[first], count)
    ties = np.repeat(below[first + count] - below[first], count) - q
    pairs = p.sum() * q.sum() - (p * q).sum()
    return float((p * (wins + 0.5 * ties)).sum() / pairs)
