"""Kernels for the command line's tests."""

import numpy as np

import tilewright as tw


@tw.kernel
def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@tw.kernel
def scaled(x, factor=2.0):
    return x * factor


@tw.kernel(x=tw.f32[tw.dim("N"), 3])
def declared(x):
    return x + 1


@tw.kernel
def wrong_shapes(x):
    return x + np.ones(7, np.float32)


def plain(x):
    return x
