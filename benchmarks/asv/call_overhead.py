"""What a call costs that has nothing to compute."""

from __future__ import annotations

import numpy as np

import tilewright as tw


@tw.kernel
def increment(x):
    return x + 1


@tw.kernel
def three_sums(x, y, z):
    return x + y, y + z, z + x


class Call:
    """Sixteen numbers: the time is that of the call."""

    def setup(self):
        self.x = np.arange(16, dtype=np.float32)
        self.out = np.empty_like(self.x)
        self.bound = three_sums.bind(y=self.x, z=self.x)
        for call in (self.time_one, self.time_out, self.time_keyword, self.time_three):
            call()
        self.time_bound()

    def time_numpy(self):
        self.x + 1

    def time_one(self):
        increment(self.x)

    def time_out(self):
        increment(self.x, out=self.out)

    def time_keyword(self):
        increment(x=self.x)

    def time_three(self):
        three_sums(self.x, self.x, self.x)

    def time_bound(self):
        self.bound(self.x)
