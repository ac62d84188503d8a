"""Images: filters, geometry, colour, boxes, drawing."""

# Written as users write it, hence:
# ruff: noqa: RUF059
from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.corpus.cases import case, doubles, floats, pixels, positive

SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=np.float32)


SOBEL_Y = SOBEL_X.T


@case(floats(12, 14))
def sobel_loops(img):
    H, W = img.shape
    gx = np.zeros((H, W))
    gy = np.zeros((H, W))
    for i in range(3):
        for j in range(3):
            gx[1:-1, 1:-1] += SOBEL_X[i, j] * img[i : i + H - 2, j : j + W - 2]
            gy[1:-1, 1:-1] += SOBEL_Y[i, j] * img[i : i + H - 2, j : j + W - 2]
    mag = np.hypot(gx, gy)
    mag = mag / mag.max() * 255
    theta = np.arctan2(gy, gx)
    return mag, theta


@case(doubles(8, 9), doubles(8, 9))
def canny_nms(mag, theta):
    M, N = mag.shape
    Z = np.zeros((M, N))
    angle = theta * 180.0 / np.pi
    angle[angle < 0] += 180
    q = np.where((angle < 22.5) | (angle >= 157.5), np.roll(mag, -1, 1), np.roll(mag, -1, 0))
    r = np.where((angle < 22.5) | (angle >= 157.5), np.roll(mag, 1, 1), np.roll(mag, 1, 0))
    Z[1:-1, 1:-1] = np.where((mag >= q) & (mag >= r), mag, 0)[1:-1, 1:-1]
    return Z


@case(doubles(8, 9), gpu=True)
def double_threshold(img, lowRatio=0.05, highRatio=0.09):
    highThreshold = img.max() * highRatio
    lowThreshold = highThreshold * lowRatio
    res = np.zeros(img.shape, dtype=np.int32)
    weak = np.int32(25)
    strong = np.int32(255)
    strong_i = img >= highThreshold
    weak_i = (img <= highThreshold) & (img >= lowThreshold)
    res[strong_i] = strong
    res[weak_i] = weak
    return res


@case(doubles(8, 9), gpu=True)
def threshold_where_idx(img):
    res = np.zeros_like(img)
    i, j = np.where(img > 0.5)
    res[i, j] = 255
    return res


@case(floats(6, 4), floats(5, 4), gpu=True)
def iou_matrix(a, b):
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    lt = np.maximum(a[:, None, :2], b[:, :2])
    rb = np.minimum(a[:, None, 2:], b[:, 2:])
    wh = (rb - lt).clip(min=0)
    inter = wh[:, :, 0] * wh[:, :, 1]
    return inter / (area_a[:, None] + area_b - inter)


@case(positive(7, 4), positive(7), gpu=True)
def nms_fixed(boxes, scores, thresh=0.5):
    x1, y1, x2, y2 = boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order = scores.argsort()[::-1]
    n = len(order)
    keep = np.ones(n, dtype=bool)
    for i in range(n):
        ii = order[i]
        for j in range(i + 1, n):
            jj = order[j]
            w = np.maximum(0.0, np.minimum(x2[ii], x2[jj]) - np.maximum(x1[ii], x1[jj]) + 1)
            h = np.maximum(0.0, np.minimum(y2[ii], y2[jj]) - np.maximum(y1[ii], y1[jj]) + 1)
            ovr = w * h / (areas[ii] + areas[jj] - w * h)
            keep[j] = keep[j] & ~(keep[i] & (ovr > thresh))
    return order, keep


@case(doubles(6, 7), 16, 12, gpu=True)
def hough_votes(edges, n_theta, n_rho):
    h, w = edges.shape
    thetas = np.deg2rad(np.linspace(-90, 90, n_theta, endpoint=False))
    diag = int(np.ceil(np.sqrt(h * h + w * w)))
    acc = np.zeros((2 * diag, n_theta), dtype=np.int64)
    ys, xs = np.indices(edges.shape)
    rho = (
        np.round(xs[..., None] * np.cos(thetas) + ys[..., None] * np.sin(thetas)).astype(int) + diag
    )
    t = np.broadcast_to(np.arange(n_theta), rho.shape)
    np.add.at(acc, (rho, t), (edges > 0)[..., None].astype(np.int64))
    return acc


@case(floats(9, 11), np.array([[0.9, 0.1, 0.5], [-0.1, 1.1, 0.2]], np.float32))
def warp_affine(img, M):
    h, w = img.shape[:2]
    yy, xx = np.mgrid[0:h, 0:w]
    sx = M[0, 0] * xx + M[0, 1] * yy + M[0, 2]
    sy = M[1, 0] * xx + M[1, 1] * yy + M[1, 2]
    x0 = np.floor(sx).astype(int)
    y0 = np.floor(sy).astype(int)
    dx = sx - x0
    dy = sy - y0
    x0c = np.clip(x0, 0, w - 1)
    x1c = np.clip(x0 + 1, 0, w - 1)
    y0c = np.clip(y0, 0, h - 1)
    y1c = np.clip(y0 + 1, 0, h - 1)
    top = img[y0c, x0c] * (1 - dx) + img[y0c, x1c] * dx
    bot = img[y1c, x0c] * (1 - dx) + img[y1c, x1c] * dx
    return top * (1 - dy) + bot * dy


@case(pixels(9, 11, 3), (6, 5))
def resize_bilinear(img, size):
    H, W = img.shape[:2]
    h, w = size
    y = (np.arange(h) + 0.5) * H / h - 0.5
    x = (np.arange(w) + 0.5) * W / w - 0.5
    y0 = np.clip(np.floor(y).astype(np.int64), 0, H - 1)
    x0 = np.clip(np.floor(x).astype(np.int64), 0, W - 1)
    y1 = np.minimum(y0 + 1, H - 1)
    x1 = np.minimum(x0 + 1, W - 1)
    wy = (y - y0).clip(0, 1)[:, None, None]
    wx = (x - x0).clip(0, 1)[None, :, None]
    img = img.astype(np.float32)
    out = (1 - wy) * ((1 - wx) * img[y0][:, x0] + wx * img[y0][:, x1]) + wy * (
        (1 - wx) * img[y1][:, x0] + wx * img[y1][:, x1]
    )
    return np.round(out).astype(np.uint8)


@case(pixels(9, 11, 3), gpu=True)
def resize_nearest(img, size=(6, 5)):
    h, w = size
    rows = (np.arange(h) * (img.shape[0] / h)).astype(int)
    cols = (np.arange(w) * (img.shape[1] / w)).astype(int)
    return img[rows[:, None], cols]


@case(pixels(8, 8), gpu=True)
def demosaic_half(raw):
    r = raw[0::2, 0::2]
    g = (raw[0::2, 1::2].astype(np.uint16) + raw[1::2, 0::2]) // 2
    b = raw[1::2, 1::2]
    return np.dstack((r, g.astype(np.uint8), b))


@case(pixels(16, 16), gpu=True)
def hist_equalize_bincount(img):
    hist = np.bincount(img.ravel(), minlength=256)
    cdf = np.cumsum(hist) / img.size
    lut = np.floor(255 * cdf).astype(np.uint8)
    return lut[img]


@case(pixels(6, 6, 3), gpu=True)
def gamma_table(img, gamma=2.2):
    invGamma = 1.0 / gamma
    table = np.array([((i / 255.0) ** invGamma) * 255 for i in np.arange(0, 256)]).astype("uint8")
    return table[img]


@case(pixels(7, 8))
def integral_image_box(img, r=1):
    ii = np.cumsum(np.cumsum(img.astype(np.int64), axis=0), axis=1)
    ii = np.pad(ii, ((1, 0), (1, 0)))
    k = 2 * r + 1
    return (ii[k:, k:] - ii[:-k, k:] - ii[k:, :-k] + ii[:-k, :-k]) / k**2


@case(floats(10, 10), floats(3, 4), gpu=True)
def template_match_ncc(img, tpl):
    win = sliding_window_view(img, tpl.shape)
    wm = win - win.mean(axis=(-2, -1), keepdims=True)
    t = tpl - tpl.mean()
    num = (wm * t).sum(axis=(-1, -2))
    den = np.sqrt((wm**2).sum((-1, -2)) * (t**2).sum())
    return num / (den + 1e-8)


@case(floats(8, 8), gpu=True)
def as_strided_pool(a, k=2):
    m, n = a.shape
    s0, s1 = a.strides
    view = np.lib.stride_tricks.as_strided(a, (m // k, n // k, k, k), (s0 * k, s1 * k, s0, s1))
    return np.nanmax(view, axis=(2, 3))


@case(pixels(5, 6, 3), gpu=True)
def rgb2gray_u8(img):
    if img.dtype == np.uint8:
        img = img.astype(np.float32)
    r, g, b = img[:, :, 0], img[:, :, 1], img[:, :, 2]
    gray = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return gray.astype(np.uint8)


@case(pixels(5, 6, 3), gpu=True)
def rgb2hsv(img):
    rgb = img.astype("float32") / 255.0
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    maxc = rgb.max(-1)
    minc = rgb.min(-1)
    v = maxc
    deltac = maxc - minc
    s = deltac / np.where(maxc == 0, 1, maxc)
    deltac = np.where(deltac == 0, 1, deltac)
    rc = (maxc - r) / deltac
    gc = (maxc - g) / deltac
    bc = (maxc - b) / deltac
    h = np.select([r == maxc, g == maxc], [bc - gc, 2.0 + rc - bc], default=4.0 + gc - rc)
    h[minc == maxc] = 0.0
    h = (h / 6.0) % 1.0
    return np.stack([h, s, v], axis=-1)


@case(pixels(5, 6, 3))
def hsv_mask_assign(im):
    im = im.astype(np.float64)
    red, G, B = im.transpose(2, 0, 1)
    mx = np.max(im, axis=2)
    mn = np.min(im, axis=2)
    d = mx - mn + 1e-9
    H = np.zeros(mx.shape)
    m = mx == red
    H[m] = (60 * (G - B) / d % 360)[m]
    m = mx == G
    H[m] = 60 * (B[m] - red[m]) / d[m] + 120
    m = mx == B
    H[m] = 60 * (red[m] - G[m]) / d[m] + 240
    return H


@case(positive(5, 6, 3).astype(np.float64))
def srgb_to_linear_lab(rgb):
    lin = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    M = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = lin @ M.T / np.array([0.95047, 1.0, 1.08883])
    eps = 216 / 24389
    kappa = 24389 / 27
    f = np.where(xyz > eps, np.cbrt(xyz), (kappa * xyz + 16) / 116)
    L = 116 * f[..., 1] - 16
    a = 500 * (f[..., 0] - f[..., 1])
    b = 200 * (f[..., 1] - f[..., 2])
    return np.stack((L, a, b), -1)


@case(pixels(5, 6, 4), pixels(5, 6, 3), gpu=True)
def alpha_blend(fg, bg):
    alpha = fg[:, :, 3:] / 255.0
    out = fg[:, :, :3] * alpha + bg * (1 - alpha)
    return out.astype(np.uint8)


@case(pixels(8, 8, 3), pixels(3, 3, 3), gpu=True)
def paste(dst, src, top=2, left=3):
    dst = dst.copy()
    h, w = src.shape[:2]
    dst[top : top + h, left : left + w] = src
    return dst


@case(floats(6, 4), gpu=True)
def clip_boxes(boxes, shape=(480, 640)):
    boxes = boxes.copy()
    boxes[..., [0, 2]] = boxes[..., [0, 2]].clip(0, shape[1])
    boxes[..., [1, 3]] = boxes[..., [1, 3]].clip(0, shape[0])
    return boxes


@case(pixels(9, 9), gpu=True)
def median_filter3(img):
    p = np.pad(img, 1, mode="edge")
    stack = np.stack(
        [p[i : i + img.shape[0], j : j + img.shape[1]] for i in range(3) for j in range(3)], axis=-1
    )
    return np.median(stack, axis=-1).astype(img.dtype)


@case(pixels(9, 9), gpu=True)
def dilate_erode(img):
    binary = (img > 127).astype(np.uint8)
    k = 3
    p = np.pad(binary, k // 2, constant_values=0)
    dil = sliding_window_view(p, (k, k)).max(axis=(2, 3))
    p = np.pad(dil, k // 2, constant_values=1)
    ero = sliding_window_view(p, (k, k)).min(axis=(2, 3))
    return dil, ero


@case(floats(9, 9))
def gaussian_blur_sep(img, sigma=1.0):
    radius = int(3 * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    k = np.exp(-(x**2) / (2 * sigma**2))
    k /= k.sum()
    pad = np.pad(img, ((radius, radius), (0, 0)), mode="reflect")
    tmp = sum(k[i] * pad[i : i + img.shape[0], :] for i in range(len(k)))
    pad = np.pad(tmp, ((0, 0), (radius, radius)), mode="reflect")
    return sum(k[i] * pad[:, i : i + img.shape[1]] for i in range(len(k)))


@case(pixels(9, 9))
def otsu(img):
    hist, edges = np.histogram(img.ravel(), bins=256, range=(0, 256))
    p = hist / hist.sum()
    omega = np.cumsum(p)
    mu = np.cumsum(p * np.arange(256))
    mu_t = mu[-1]
    sigma_b = (mu_t * omega - mu) ** 2 / (omega * (1 - omega) + 1e-12)
    return np.argmax(sigma_b)


@case(pixels(7, 8), gpu=True)
def lbp(img):
    c = img[1:-1, 1:-1]
    out = np.zeros_like(c)
    offs = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    for bit, (dy, dx) in enumerate(offs):
        n = img[1 + dy : img.shape[0] - 1 + dy, 1 + dx : img.shape[1] - 1 + dx]
        out |= (n >= c).astype(np.uint8) << bit
    return out


@case(floats(8, 8), gpu=True)
def harris(img, k=0.04):
    Iy, Ix = np.gradient(img)
    Ixx, Ixy, Iyy = Ix**2, Ix * Iy, Iy**2
    box = lambda a: sum(np.roll(np.roll(a, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
    Sxx, Sxy, Syy = map(box, (Ixx, Ixy, Iyy))
    return Sxx * Syy - Sxy**2 - k * (Sxx + Syy) ** 2


@case(pixels(8, 8), pixels(8, 8))
def psnr_ssim(a, b):
    a = a.astype(np.float64)
    b = b.astype(np.float64)
    mse = np.mean((a - b) ** 2)
    psnr = 20 * np.log10(255.0 / np.sqrt(mse))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mu1, mu2 = a.mean(), b.mean()
    cov = ((a - mu1) * (b - mu2)).mean()
    ssim = (
        (2 * mu1 * mu2 + c1) * (2 * cov + c2) / ((mu1**2 + mu2**2 + c1) * (a.var() + b.var() + c2))
    )
    return {"psnr": psnr, "ssim": ssim}


@case(pixels(4, 4))
def floyd_steinberg(img):
    im = img.astype(np.float64)
    h, w = im.shape
    for y in range(h):
        for x in range(w):
            old = im[y, x]
            new = np.round(old / 255.0) * 255
            im[y, x] = new
            err = old - new
            if x + 1 < w:
                im[y, x + 1] += err * 7 / 16
            if y + 1 < h and x > 0:
                im[y + 1, x - 1] += err * 3 / 16
            if y + 1 < h:
                im[y + 1, x] += err * 5 / 16
            if y + 1 < h and x + 1 < w:
                im[y + 1, x + 1] += err * 1 / 16
    return np.clip(im, 0, 255).astype(np.uint8)


@case(doubles(4, 2), doubles(4, 2))
def homography_dlt_matrix(src, dst):
    A = []
    for i in range(len(src)):
        x, y = src[i, 0], src[i, 1]
        u, v = dst[i, 0], dst[i, 1]
        A.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        A.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    matrix = np.asarray(A)
    b = dst.reshape(-1)
    h = np.linalg.solve(matrix, b)
    return np.append(h, 1.0).reshape(3, 3)


@case(floats(6, 7), gpu=True)
def total_variation(img):
    return np.sum(np.abs(np.diff(img, axis=0))) + np.abs(np.diff(img, axis=1)).sum()


@case(pixels(6, 6), gpu=True)
def bbox_from_mask(m):
    mask = m > 100
    rows = np.any(mask, axis=1)
    cols = np.any(mask, axis=0)
    ymin, ymax = np.argmax(rows), len(rows) - 1 - np.argmax(rows[::-1])
    xmin, xmax = np.argmax(cols), len(cols) - 1 - np.argmax(cols[::-1])
    return xmin, ymin, xmax, ymax


@case(pixels(6, 6))
def count_nonzero_mean_masked(m):
    mask = m > 100
    return m[mask].mean(), m[mask].sum(), mask.sum(), m[~mask].max()
