"""Exponentials seen through a measured instrument response on time bins, with derivatives.

Photons of the response are taken as evenly spread within a bin and the decay is integrated over
every bin, so a lifetime shorter than a bin is still right. Each exponential costs two passes of a
first-order recursion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def shifted(irf: Floats, shift: float) -> tuple[Floats, Floats]:
    """Return the response moved by ``shift`` bins, and its derivative with respect to the shift.

    Cubic convolution (Keys, IEEE Trans. ASSP 29, 1153 (1981)): the sum is kept, the width too, and
    the derivative is continuous where a linear shift has a kink at every whole bin.

    Examples
    --------
    >>> moved, _ = shifted(np.array([0.0, 0, 1, 0, 0]), 1.0)
    >>> moved.tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0]
    """
    whole = int(np.floor(shift))
    d = shift - whole
    # weights of irf[n - whole + (1, 0, -1, -2)]
    w = np.array(
        [
            0.5 * (d**3 - d**2),
            0.5 * (-3 * d**3 + 4 * d**2 + d),
            0.5 * (3 * d**3 - 5 * d**2 + 2),
            0.5 * (-(d**3) + 2 * d**2 - d),
        ]
    )
    dw = np.array(
        [
            0.5 * (3 * d**2 - 2 * d),
            0.5 * (-9 * d**2 + 8 * d + 1),
            0.5 * (9 * d**2 - 10 * d),
            0.5 * (-3 * d**2 + 4 * d - 1),
        ]
    )
    n = irf.size
    out, slope = np.zeros(n), np.zeros(n)
    for k, offset in enumerate((2, 1, 0, -1)):
        move = whole + offset
        if abs(move) >= n:
            continue
        source = irf[: n - move] if move >= 0 else irf[-move:]
        target = slice(move, None) if move >= 0 else slice(None, n + move)
        out[target] += w[k] * source
        slope[target] += dw[k] * source
    return out, slope


def exponential(
    irf: Floats, ratio: float, period: float | None = None, derivative: bool = False
) -> tuple[Floats, Floats]:
    """Return the response convolved with a decay of unit area, and d/dlog(tau).

    Parameters
    ----------
    irf : (n_bins,) array
    ratio : float
        Bin width over lifetime.
    period : float, optional
        Of the excitation, in bins: what is left of earlier pulses is added.
    derivative : bool
        Second result is empty if False.

    Examples
    --------
    >>> decay, _ = exponential(np.r_[1.0, np.zeros(999)], 0.1)
    >>> bool(abs(decay.sum() - 1) < 1e-9)
    True
    """
    from scipy.signal import lfilter

    k = max(ratio, 1e-12)
    r, lost = np.exp(-k), -np.expm1(-k)
    first = k / 2 - k * k / 6 if k < 1e-4 else 1.0 - lost / k
    later = lost * lost / k
    state = lfilter([0.0, 1.0], [1.0, -r], irf)
    out = first * irf + later * state
    if not derivative and period is None:
        return out, np.zeros(0)
    d_first = 0.5 - k / 3 if k < 1e-4 else lost / k**2 - r / k
    d_later = 2.0 * lost * r / k - later / k
    d_state = -r * lfilter([0.0, 1.0], [1.0, -r], state)
    slope = d_first * irf + d_later * state + later * d_state
    if period is not None:
        n = irf.size
        last = r * state[-1] + irf[-1]
        d_last = -r * state[-1] + r * d_state[-1]
        ago = np.arange(n) + period - n
        left = np.exp(-k * period)
        tail = later * last * np.exp(-k * ago) / -np.expm1(-k * period)
        out = out + tail
        growth = d_later / later + (d_last / last if last > 0 else 0.0)
        slope = slope + tail * (growth - ago - period * left / -np.expm1(-k * period))
    return out, -k * slope


def pile_up(rate: Floats, pulses: float, columns: Floats | None = None) -> tuple[Floats, Floats]:
    """Return the counts expected where only the first photon of each pulse is kept.

    Parameters
    ----------
    rate : (n_bins,) array
        Counts that a detector without dead time would have seen.
    pulses : float
        Number of excitation pulses.
    columns : (n_bins, n) array, optional
        Derivatives of ``rate``; those of the result come back.

    References
    ----------
    P. B. Coates, J. Phys. E 1, 878 (1968).

    Examples
    --------
    >>> seen, _ = pile_up(np.array([50.0, 50.0]), 100.0)
    >>> np.round(seen, 2)
    array([39.35, 23.87])
    """
    mean = rate / pulses
    before = np.cumsum(mean) - mean
    alive, here = np.exp(-before), np.exp(-mean)
    seen = pulses * alive * -np.expm1(-mean)
    if columns is None:
        return seen, np.zeros((0, 0))
    earlier = np.cumsum(columns, axis=0) - columns
    return seen, (alive * here)[:, None] * columns - (seen / pulses)[:, None] * earlier
