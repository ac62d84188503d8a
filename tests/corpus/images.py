"""Image processing as people write it: colours, filters, boxes, masks, metrics."""

# Written as users write it, hence:
# ruff: noqa: RUF046, RUF059
from __future__ import annotations

import math

import numpy as np

from tests.corpus.cases import array, case, scattered


@case(scattered(array((9, 11, 3), "u1")))
@case(array((9, 11, 3), "u1"))
def rgb2gray(rgb):
    return rgb @ np.array([0.2125, 0.7154, 0.0721])


@case(array((9, 11, 3), "f4"))
@case(array((9, 11, 3), "u1"))
def rgb2gray32(rgb):
    coeffs = np.array([0.2125, 0.7154, 0.0721], dtype=np.float32)
    return np.dot(rgb.astype(np.float32), coeffs)


@case(array((6, 7, 3), "u1"))
def rgb2hsv(img):
    arr_ = img.astype(np.float64) / 255.0
    out = np.empty_like(arr_)
    out_v = arr_.max(-1)
    delta = np.ptp(arr_, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        out_s = delta / out_v
        out_s[delta == 0.0] = 0.0
        idx = arr_[..., 0] == out_v
        out[idx, 0] = (arr_[idx, 1] - arr_[idx, 2]) / delta[idx]
        idx = arr_[..., 1] == out_v
        out[idx, 0] = 2.0 + (arr_[idx, 2] - arr_[idx, 0]) / delta[idx]
        idx = arr_[..., 2] == out_v
        out[idx, 0] = 4.0 + (arr_[idx, 0] - arr_[idx, 1]) / delta[idx]
    out_h = out[..., 0] / 6.0 % 1.0
    out_h[delta == 0.0] = 0.0
    out[..., 0] = out_h
    out[..., 1] = out_s
    out[..., 2] = out_v
    out[np.isnan(out)] = 0
    return out


@case(array((8, 9), "f4"))
@case(array((8, 9), "u1"))
def sobel_mag(im):
    im = im.astype(float)
    p = np.pad(im, 1, mode="reflect")
    gx = p[:-2, 2:] + 2 * p[1:-1, 2:] + p[2:, 2:] - (p[:-2, :-2] + 2 * p[1:-1, :-2] + p[2:, :-2])
    gy = p[2:, :-2] + 2 * p[2:, 1:-1] + p[2:, 2:] - (p[:-2, :-2] + 2 * p[:-2, 1:-1] + p[:-2, 2:])
    mag = np.hypot(gx, gy)
    return (mag / mag.max(), np.rad2deg(np.arctan2(gy, gx)) % 180)


@case(array((8, 9), "u1"))
def equalize_hist(image, nbins=256):
    hist, bin_edges = np.histogram(image.flatten(), bins=nbins, range=(0, 256))
    cdf = hist.cumsum()
    cdf_m = (cdf - cdf.min()) * 255 / (cdf.max() - cdf.min())
    return cdf_m.astype("uint8")[image]


@case(array((8, 9), "u1"))
def gamma_lut(img, gamma=2.2):
    table = np.array([(i / 255.0) ** (1.0 / gamma) * 255 for i in np.arange(0, 256)]).astype(
        "uint8"
    )
    return table[img]


@case(array((8, 9), "u1"), 100.5)
@case(array((8, 9), "u1"), 100)
def thresh_binary(img, t_):
    return (
        np.where(img > t_, 255, 0).astype(np.uint8),
        ((img > t_) * 255).astype(img.dtype),
        (img > t_) * 255,
    )


@case(array((8, 9), "u1"))
def otsu(image):
    counts, edges = np.histogram(image.ravel(), bins=256, range=(0, 256))
    counts = counts.astype(np.float64)
    centers = (edges[:-1] + edges[1:]) / 2.0
    w1 = np.cumsum(counts)
    w2 = np.cumsum(counts[::-1])[::-1]
    m1 = np.cumsum(counts * centers) / w1
    m2 = (np.cumsum((counts * centers)[::-1]) / w2[::-1])[::-1]
    v = w1[:-1] * w2[1:] * (m1[:-1] - m2[1:]) ** 2
    v = np.nan_to_num(v)
    return centers[np.argmax(v)]


@case(array((10, 12), "f4"), 5, 7)
@case(array((10, 12, 3), "u1"), 5, 7)
def bilinear_resize(img, new_h, new_w):
    h, w = img.shape[:2]
    y = np.linspace(0, h - 1, new_h)
    x = np.linspace(0, w - 1, new_w)
    y0 = np.floor(y).astype(int)
    x0 = np.floor(x).astype(int)
    y1 = np.minimum(y0 + 1, h - 1)
    x1 = np.minimum(x0 + 1, w - 1)
    wy = (y - y0)[:, None]
    wx = (x - x0)[None, :]
    if img.ndim == 3:
        wy = wy[..., None]
        wx = wx[..., None]
    top = img[y0][:, x0] * (1 - wx) + img[y0][:, x1] * wx
    bot = img[y1][:, x0] * (1 - wx) + img[y1][:, x1] * wx
    return top * (1 - wy) + bot * wy


@case(array((11, 13), "f4"), 3)
@case(array((10, 12, 3), "u1"), 2)
def downsample_block(img, k):
    h, w = (img.shape[0] // k * k, img.shape[1] // k * k)
    img = img[:h, :w]
    return img.reshape(h // k, k, w // k, k, *img.shape[2:]).mean(axis=(1, 3))


@case(array((7, 9), "b"))
def erode(m):
    p = np.pad(m, 1, constant_values=True)
    out = np.ones_like(m)
    for dy in range(3):
        for dx in range(3):
            out &= p[dy : dy + m.shape[0], dx : dx + m.shape[1]]
    return out


@case(array((7, 9), "b"))
def dilate_roll(m):
    out = m.copy()
    for s in [(0, 1), (0, -1), (1, 0), (-1, 0)]:
        out |= np.roll(m, s, axis=(0, 1))
    return out


@case(array((7, 9), "f8"))
@case(array((7, 9), "f4"))
def median3(im):
    p = np.pad(im, 1, mode="edge")
    st = np.stack(
        [p[i : i + im.shape[0], j : j + im.shape[1]] for i in range(3) for j in range(3)], axis=-1
    )
    return np.median(st, axis=-1)


@case(array((9, 8), "f8"), array((3, 5), "f8"))
@case(array((9, 9), "f4"), array((3, 3), "f4"))
def conv2d_valid(x, k):
    kh, kw = k.shape
    win = np.lib.stride_tricks.sliding_window_view(x, (kh, kw))
    return np.einsum("ijkl,kl->ij", win, k[::-1, ::-1])


@case(array((9, 9), "f4"), array((3, 3), "f4"))
def conv2d_loop(image, kernel):
    m, n = kernel.shape
    y, x = image.shape
    y = y - m + 1
    x = x - n + 1
    new_image = np.zeros((y, x))
    for i in range(y):
        for j in range(x):
            new_image[i][j] = np.sum(image[i : i + m, j : j + n] * kernel)
    return new_image


@case(array((4, 6), "u1"))
def adjust(img, alpha=1.3, beta=40):
    return (
        np.clip(alpha * img + beta, 0, 255).astype(np.uint8),
        np.clip(img.astype(np.int16) + beta, 0, 255).astype(np.uint8),
        np.uint8(np.clip(img * 1.5, None, 255)),
    )


@case(array((4, 6, 3), "u1"), array((4, 6, 3), "u1"))
def psnr(a, b):
    mse = np.mean((a.astype("float64") - b.astype("float64")) ** 2)
    return (20 * np.log10(255.0 / np.sqrt(mse)), 10 * math.log10(255**2 / mse))


@case(array((16, 16), "f8"), array((16, 16), "f8"))
def ssim_global(x, y):
    C1, C2 = ((0.01 * 255) ** 2, (0.03 * 255) ** 2)
    mx, my = (x.mean(), y.mean())
    sx, sy = (x.var(), y.var())
    sxy = ((x - mx) * (y - my)).mean()
    return (2 * mx * my + C1) * (2 * sxy + C2) / ((mx**2 + my**2 + C1) * (sx + sy + C2))


@case(array((5, 4), "f4"), array((6, 4), "f4"))
def iou(b1, b2):
    area1 = (b1[:, 2] - b1[:, 0]) * (b1[:, 3] - b1[:, 1])
    area2 = (b2[:, 2] - b2[:, 0]) * (b2[:, 3] - b2[:, 1])
    lt = np.maximum(b1[:, None, :2], b2[None, :, :2])
    rb = np.minimum(b1[:, None, 2:], b2[None, :, 2:])
    wh = np.clip(rb - lt, 0, None)
    inter = wh[..., 0] * wh[..., 1]
    return inter / (area1[:, None] + area2 - inter + 1e-07)


@case(array((12, 5), "f4"))
def xywh2xyxy(x):
    y = np.copy(x)
    y[..., 0] = x[..., 0] - x[..., 2] / 2
    y[..., 1] = x[..., 1] - x[..., 3] / 2
    y[..., 2] = x[..., 0] + x[..., 2] / 2
    y[..., 3] = x[..., 1] + x[..., 3] / 2
    return y


@case(array((12, 4), "f4"), np.abs(array(12, "f4")))
def nms_mask(boxes, scores, thr=0.5):
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order = scores.argsort()[::-1]
    keep = np.ones(len(boxes), dtype=bool)
    for i in range(len(boxes)):
        a = order[i]
        xx1 = np.maximum(x1[a], x1[order])
        yy1 = np.maximum(y1[a], y1[order])
        xx2 = np.minimum(x2[a], x2[order])
        yy2 = np.minimum(y2[a], y2[order])
        w = np.maximum(0.0, xx2 - xx1 + 1)
        h = np.maximum(0.0, yy2 - yy1 + 1)
        ov = w * h / (areas[a] + areas[order] - w * h)
        sup = (ov > thr) & (np.arange(len(boxes)) > i) & keep[i]
        keep &= ~sup
    return (order, keep)


@case(array((2, 3, 4, 5), "f4"))
def yolo_decode(p, stride=8):
    bs, na, ny, nx = p.shape
    yv, xv = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    grid = np.stack((xv, yv), 2).reshape(1, 1, ny, nx, 2).astype(np.float32)
    s = 1 / (1 + np.exp(-p))
    xy = (s[..., None] * 2.0 - 0.5 + grid) * stride
    return xy.reshape(bs, -1, 2)


@case(
    np.sort(np.random.default_rng(1).random(20)),
    np.sort(np.random.default_rng(2).random(20))[::-1].copy(),
)
def ap(recall, precision):
    mrec = np.concatenate(([0.0], recall, [1.0]))
    mpre = np.concatenate(([1.0], precision, [0.0]))
    mpre = np.flip(np.maximum.accumulate(np.flip(mpre)))
    x = np.linspace(0, 1, 101)
    return (np.trapezoid(np.interp(x, mrec, mpre), x), mpre)


@case(np.array([1, 2, 0, 1, 2, 2, 0]), np.array([1, 2, 1, 1, 0, 2, 0]))
def confusion(y, p, n=3):
    cm = np.zeros((n, n), dtype=int)
    np.add.at(cm, (y, p), 1)
    cm2 = np.bincount(n * y + p, minlength=n * n).reshape(n, n)
    tp = np.diag(cm)
    prec = tp / cm.sum(0)
    rec = tp / cm.sum(axis=1)
    return (cm, cm2, prec, rec, 2 * prec * rec / (prec + rec), np.trace(cm) / cm.sum())


@case(array((3, 8, 8), "f4"))
def heatmap_peak(hm):
    n, h, w = hm.shape
    flat = hm.reshape(n, -1)
    idx = flat.argmax(axis=1)
    ys, xs = np.unravel_index(idx, (h, w))
    maxv = flat[np.arange(n), idx]
    conf = np.amax(flat, 1)
    coords = np.stack([xs, ys], -1).astype(np.float32)
    coords[maxv <= 0] = -1
    return (coords, conf, idx % w, idx // w)


@case(array((3, 8, 8), "f4"))
def soft_argmax(hm, beta=10.0):
    n, h, w = hm.shape
    e = np.exp(beta * (hm - hm.max(axis=(1, 2), keepdims=True)))
    p = e / e.sum(axis=(1, 2), keepdims=True)
    return ((p.sum(1) * np.arange(w)).sum(-1), p.sum(2) @ np.arange(h))


@case(array((3, 3), "f8"), array((6, 2), "f8"))
def homography(H, pts):
    ph = np.hstack([pts, np.ones((len(pts), 1))])
    q = ph @ H.T
    return q[:, :2] / q[:, 2:]


@case(array((4, 4), "f4"))
def integral(im):
    s = np.zeros((im.shape[0] + 1, im.shape[1] + 1), dtype=im.dtype)
    s[1:, 1:] = im.cumsum(0).cumsum(1)
    return (s, s[2:, 2:] - s[:-2, 2:] - s[2:, :-2] + s[:-2, :-2])


@case(array((6, 8), "u1"))
@case(array((6, 8), "f4"))
def lbp(im):
    c = im[1:-1, 1:-1]
    out = np.zeros(c.shape, dtype=np.uint8)
    offs = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    for k, (dy, dx) in enumerate(offs):
        n = im[1 + dy : im.shape[0] - 1 + dy, 1 + dx : im.shape[1] - 1 + dx]
        out |= (n >= c).astype(np.uint8) << k
    return out


@case(array((6, 8), "f4"))
def hog_cells(im):
    gy, gx = np.gradient(im)
    mag = np.sqrt(gx**2 + gy**2)
    ang = np.rad2deg(np.arctan2(gy, gx)) % 180
    b = (ang // 20).astype(int) % 9
    h = np.zeros(9)
    np.add.at(h, b.ravel(), mag.ravel())
    h2 = np.bincount(b.ravel(), weights=mag.ravel(), minlength=9)
    return (h / np.sqrt((h**2).sum() + 1e-06), h2)


@case(array((8, 8), "u1"))
def sepia_like(img):
    rgb = np.repeat(img[:, :, None], 3, axis=2)
    m = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    r = rgb.dot(m.T)
    r[r > 255] = 255
    return r.astype(np.uint8)


@case(array((8, 8, 3), "u1"), array((8, 8, 3), "u1"), array((8, 8), "f4"))
def alpha_blend(fg, bg, a):
    a = np.clip(a, 0, 1)[..., np.newaxis]
    return (
        (fg * a + bg * (1 - a)).astype(fg.dtype),
        np.round(fg * a + bg * (1 - a)).astype(np.uint8),
    )


@case(array((5, 7, 3), "u1"), (8, 8))
def letterbox(img, new_shape, color=(114, 114, 114)):
    h, w = img.shape[:2]
    r = min(new_shape[0] / h, new_shape[1] / w)
    nh, nw = (int(round(h * r)), int(round(w * r)))
    ys = (np.arange(nh) / r).astype(int).clip(0, h - 1)
    xs = (np.arange(nw) / r).astype(int).clip(0, w - 1)
    res = img[ys][:, xs]
    out = np.full((*new_shape, 3), color, dtype=np.uint8)
    t0, l0 = ((new_shape[0] - nh) // 2, (new_shape[1] - nw) // 2)
    out[t0 : t0 + nh, l0 : l0 + nw] = res
    return (out, r, (l0, t0))


@case(array((6, 6), "f8"), 1.0)
def gaussian_sep(im, sigma):
    r = int(3 * sigma + 0.5)
    x = np.arange(-r, r + 1)
    k = np.exp(-0.5 * (x / sigma) ** 2)
    k /= k.sum()
    tmp = np.apply_along_axis(lambda v: np.convolve(v, k, mode="same"), 0, im)
    return np.apply_along_axis(np.convolve, 1, tmp, k, mode="same")


@case(array((6, 6), "f4"))
def bilateral(im, ss=1.0, sr=0.5):
    H, W = im.shape
    out = np.zeros_like(im)
    wsum = np.zeros_like(im)
    p = np.pad(im, 2, "symmetric")
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            s = p[2 + dy : 2 + dy + H, 2 + dx : 2 + dx + W]
            w = np.exp(-(dx * dx + dy * dy) / (2 * ss**2)) * np.exp(-((s - im) ** 2) / (2 * sr**2))
            out += w * s
            wsum += w
    return out / wsum


@case(np.random.default_rng(0).integers(0, 4, (6, 6)))
def onehot(lbl, n=4):
    return (
        np.eye(n)[lbl],
        (lbl[..., None] == np.arange(n)).astype(np.uint8),
        np.eye(n, dtype=np.float32)[lbl.ravel()],
    )


@case(np.random.default_rng(0).integers(0, 4, (6, 6)))
def palette(lbl):
    pal = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=np.uint8)
    return (pal[lbl], np.take(pal, lbl, axis=0), pal[lbl][..., ::-1])


@case(
    np.random.default_rng(0).integers(0, 4, (6, 6)), np.random.default_rng(1).integers(0, 4, (6, 6))
)
def miou(a, b, n=4):
    ious = []
    for c in range(n):
        i = np.logical_and(a == c, b == c).sum()
        u = np.logical_or(a == c, b == c).sum()
        ious.append(i / u)
    return (np.mean(ious), ious)


@case(array((6, 6), "b"), array((6, 6), "b"))
def dice(a, b):
    return (
        2.0 * (a & b).sum() / (a.sum() + b.sum()),
        np.logical_xor(a, b).sum(),
        a.sum(0),
        a.sum(dtype=np.int32),
        a.mean(),
        (a * b).sum(),
        a.astype(int).sum() / a.size,
    )


@case(array((9,), "f8"))
def bbox_of_mask(x):
    m = np.abs(x.reshape(3, 3)) > 0.5
    rows = np.any(m, axis=1)
    cols = np.any(m, axis=0)
    ymin, ymax = (np.argmax(rows), m.shape[0] - 1 - np.argmax(rows[::-1]))
    return np.array([ymin, ymax, np.argmax(cols), len(cols) - np.argmax(cols[::-1]) - 1])
