"""Losses, metrics and classical machine learning."""

# Written as users write it, hence:
# ruff: noqa: B007, B905, PT018
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.corpus.cases import RNG, below, case, doubles, floats, positive


@case(floats(8, 10), below(10, 8), gpu=True)
def cross_entropy_loss(logits, labels):
    N = logits.shape[0]
    shifted = logits - logits.max(axis=1)[:, np.newaxis]
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_probs[np.arange(N), labels].mean()
    return loss


@case(floats(4, 9), (RNG.random((4, 9)) > 0.5).astype(np.float32), gpu=True)
def focal_loss(logits, targets, alpha=0.25, gamma=2.0, reduction="mean"):
    p = 1 / (1 + np.exp(-logits))
    ce = -(targets * np.log(p + 1e-7) + (1 - targets) * np.log(1 - p + 1e-7))
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = ce * ((1 - p_t) ** gamma)
    if alpha >= 0:
        alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
        loss = alpha_t * loss
    if reduction == "mean":
        return loss.mean()
    elif reduction == "sum":
        return loss.sum()
    return loss


@case(positive(2, 5, 5), (RNG.random((2, 5, 5)) > 0.5).astype(np.float32), gpu=True)
def dice_loss(pred, target, smooth=1.0):
    iflat = pred.flatten()
    tflat = target.flatten()
    intersection = (iflat * tflat).sum()
    return 1 - ((2.0 * intersection + smooth) / (iflat.sum() + tflat.sum() + smooth))


@case(below(5, 9), gpu=True)
def one_hot(labels, num_classes=5):
    return np.eye(num_classes)[labels]


@case(below(5, 9), gpu=True)
def one_hot_assign(labels):
    n = labels.size
    out = np.zeros((n, 5), dtype=np.float32)
    out[np.arange(n), labels] = 1
    return out


@case(below(5, 9), floats(9, 5), gpu=True)
def label_smoothing_ce(y, logits, eps=0.1):
    K = logits.shape[1]
    target = np.full(logits.shape, eps / (K - 1), dtype=logits.dtype)
    target[range(len(y)), y] = 1.0 - eps
    logp = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    return -(target * logp).sum(axis=1).mean()


@case(floats(20, 3), floats(4, 3), gpu=True)
def kmeans_step(X, centroids):
    dists = np.linalg.norm(X[:, None, :] - centroids[None, :, :], axis=2)
    labels = np.argmin(dists, axis=1)
    K = centroids.shape[0]
    new = np.zeros_like(centroids)
    for k in range(K):
        mask = labels == k
        cnt = np.sum(mask)
        new[k] = np.where(cnt > 0, (X * mask[:, None]).sum(0) / np.maximum(cnt, 1), centroids[k])
    return labels, new


@case(doubles(20, 3), doubles(4, 3))
def kmeans_addat(X, C):
    d2 = ((X[:, None] - C) ** 2).sum(-1)
    lab = d2.argmin(1)
    sums = np.zeros_like(C)
    np.add.at(sums, lab, X)
    counts = np.bincount(lab, minlength=len(C))
    return sums / np.maximum(counts, 1)[:, None]


@case(doubles(20, 4))
def pca_cov(X):
    Xc = X - np.mean(X, axis=0)
    n = X.shape[0]
    cov = Xc.T @ Xc / (n - 1)
    return cov, np.trace(cov)


@case(doubles(20, 2), doubles(3, 2), np.abs(doubles(3, 2)) + 0.5, np.array([0.2, 0.3, 0.5]))
def gmm_e_step(X, mu, var, pi):
    n, d = X.shape
    log_prob = np.empty((n, len(mu)))
    for k, (m, v) in enumerate(zip(mu, var)):
        log_prob[:, k] = -0.5 * (
            d * np.log(2 * np.pi) + np.sum(np.log(v)) + np.sum((X - m) ** 2 / v, axis=1)
        )
    weighted = log_prob + np.log(pi)
    mx = weighted.max(axis=1, keepdims=True)
    log_norm = mx + np.log(np.exp(weighted - mx).sum(axis=1, keepdims=True))
    return np.exp(weighted - log_norm), log_norm.squeeze()


@case(floats(6, 3), floats(5, 3), gpu=True)
def rbf_kernel(X, Y, gamma=None):
    if gamma is None:
        gamma = 1.0 / X.shape[1]
    sq = np.sum(X**2, 1).reshape(-1, 1) + np.sum(Y**2, 1) - 2 * np.dot(X, Y.T)
    return np.exp(-gamma * sq)


@case(floats(6), floats(7))
def dtw_distance(s, t):
    n, m = len(s), len(t)
    D = np.full((n + 1, m + 1), np.inf)
    D[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            cost = abs(s[i - 1] - t[j - 1])
            D[i, j] = cost + min(D[i - 1, j], D[i, j - 1], D[i - 1, j - 1])
    return D[n, m]


@dataclass
class Config:
    lr: float = 0.1
    steps: int = 5
    name: str = "gd"


CFG = Config()


@case(doubles(6, 3), doubles(6))
def linear_regression_gd(X, y):
    w = np.zeros(X.shape[1])
    n = len(y)
    for epoch in range(CFG.steps):
        y_pred = X @ w
        grad = (2 / n) * X.T @ (y_pred - y)
        w -= CFG.lr * grad
    return w


@case(doubles(6, 3), doubles(6), Config())
def linreg_cfg_arg(X, y, cfg):
    w = np.zeros(X.shape[1])
    for _ in range(cfg.steps):
        w = w - cfg.lr * (X.T @ (X @ w - y)) / len(X)
    return w


@case(floats(10), (RNG.random(10) > 0.5).astype(np.float32), gpu=True)
def bce_with_logits(x, z):
    return np.mean(np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x))))


@case(floats(30), gpu=True)
def topk_argpartition(scores, k=5):
    idx = np.argpartition(scores, -k)[-k:]
    idx = idx[np.argsort(-scores[idx])]
    return idx, scores[idx]


@case(below(4, 50), below(4, 50), gpu=True)
def confusion_bincount(t, p, n=4):
    return np.bincount(n * t + p, minlength=n**2).reshape(n, n)


@case(below(4, 50), below(4, 50))
def miou(pred, gt, n_class=4):
    mask = (gt >= 0) & (gt < n_class)
    hist = np.bincount(n_class * gt[mask].astype(int) + pred[mask], minlength=n_class**2).reshape(
        n_class, n_class
    )
    iu = np.diag(hist) / (hist.sum(1) + hist.sum(0) - np.diag(hist))
    return np.nanmean(iu)


@case(below(2, 50), below(2, 50))
def f1_score(y_true, y_pred):
    tp = np.sum((y_true == 1) & (y_pred == 1))
    fp = np.sum((y_true == 0) & (y_pred == 1))
    fn = np.sum((y_true == 1) & (y_pred == 0))
    precision = tp / (tp + fp)
    recall = tp / (tp + fn)
    return 2 * precision * recall / (precision + recall)


@case(below(2, 50), positive(50))
def auc(y, s):
    order = np.argsort(s)
    ranks = np.empty_like(order)
    ranks[order] = np.arange(1, len(s) + 1)
    npos = y.sum()
    nneg = len(y) - npos
    return (ranks[y == 1].sum() - npos * (npos + 1) / 2) / (npos * nneg)


@case(doubles(5, 4, 3), doubles(5, 4, 3))
def td_lambda(rewards, values, gamma=0.99, lam=0.95):
    T = rewards.shape[0]
    adv = np.zeros_like(rewards)
    last = 0
    for t in reversed(range(T - 1)):
        delta = rewards[t] + gamma * values[t + 1] - values[t]
        adv[t] = last = delta + gamma * lam * last
    return adv + values, adv


@case(floats(10), gpu=True)
def discount_rewards(r, gamma=0.99):
    discounted_r = np.zeros_like(r)
    running_add = 0
    for t in reversed(range(0, r.size)):
        running_add = running_add * gamma + r[t]
        discounted_r[t] = running_add
    discounted_r -= np.mean(discounted_r)
    discounted_r /= np.std(discounted_r)
    return discounted_r


@case(floats(5, 3), floats(6, 3), gpu=True)
def cosine_sim(a, b):
    an = a / np.linalg.norm(a, axis=1)[:, None]
    bn = b / np.linalg.norm(b, axis=1, keepdims=True)
    return an.dot(bn.T)


@case(floats(8, 4), below(3, 8), gpu=True)
def triplet_hard(emb, labels, margin=0.3):
    d = np.sqrt(np.maximum(((emb[:, None] - emb[None]) ** 2).sum(-1), 1e-12))
    same_ = labels[:, None] == labels[None, :]
    hp = np.max(np.where(same_, d, -np.inf), axis=1)
    hn = np.min(np.where(~same_, d, np.inf), axis=1)
    return np.maximum(hp - hn + margin, 0).mean()


@case(floats(6, 4), floats(6, 4), gpu=True)
def infonce(z1, z2, tau=0.5):
    z = np.concatenate([z1, z2])
    z = z / np.sqrt((z * z).sum(1, keepdims=True))
    sim = z @ z.T / tau
    n = len(z)
    np.fill_diagonal(sim, -np.inf)
    pos = np.concatenate([np.arange(n // 2, n), np.arange(n // 2)])
    lse = np.log(np.exp(sim).sum(1))
    return (lse - sim[np.arange(n), pos]).mean()


@case(floats(4, 3), floats(3, 2), gpu=True)
def assert_shapes(a, b):
    assert a.ndim == 2 and b.ndim == 2, f"bad ndim {a.ndim}"
    assert a.shape[1] == b.shape[0], f"shapes {a.shape} and {b.shape} do not match"
    if a.dtype != np.float32:
        a = a.astype(np.float32)
    out = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
    return out


@case(doubles(3, 4), True)
@case(doubles(3, 4), False)
def flag_kernel(x, train):
    if train:
        return x * 2
    else:
        return x


@case(doubles(3, 4))
def early_return_none(x, mask=None, scale=None, *, bias=None):
    scale = scale or 1.0 / np.sqrt(x.shape[-1])
    if bias is None:
        bias = 0.0
    return x * scale + bias
