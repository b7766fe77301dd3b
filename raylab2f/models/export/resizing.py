"""The resizing of `raylab2f.preparation.resize` as tensor formulas of the picture's size, to the last grey value.

OpenCV averages 8-bit pictures in float32, tap after tap along rows, then along columns, or, where both sides shrink by
whole numbers, sums integers; and interpolates them in fixed point with coefficients of 11 bits, whose products lose
digits on the way. The formulas do the same in the same order. They need whole numbers and float32 alone, and one
division for each coefficient, so that runtimes without float64 follow them. Where OpenCV fuses products and sums, as on
ARM processors, averages that lie exactly between two grey values may come out as the other one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from raylab2f.errors import UserError

__all__ = ["GraphResizing"]

_COEFFICIENT = 2048
# More would make graphs of thousands of nodes.
_MOST_TAPS = 64


class GraphResizing(nn.Module):
    """Pictures (B, H, W, 3) of values 0 to 255 to (B, *size, 3) float32 of whole values.

    Arguments:
        size: height and width in pixels.
        fit: `stretch` or `pad`, see `raylab2f.preparation.resize`.
        largest: height and width of pictures, beyond which the graph has not enough taps.

    Raises:
        UserError: `largest` asks for too many of them.
    """

    fast: Tensor

    def __init__(self, size: tuple[int, int], fit: str, largest: tuple[int, int]) -> None:
        super().__init__()
        self.size, self.fit = size, fit
        scales = [most / wanted for most, wanted in zip(largest, size, strict=True)]
        if fit == "pad":
            # The longer side shrinks the other one, and rounding to pixels a little more, or much where few are left.
            scale = max(scales)
            fewest = [length / max(1, round(length / scale)) for length in largest]
            scales = [max(1.05 * scale, *fewest)] * 2
        self.taps = tuple(max(2, math.ceil(scale) + 1) for scale in scales)
        if max(self.taps) > _MOST_TAPS:
            raise UserError(
                f"--largest-picture {largest[0]}x{largest[1]}: pictures shrink by more than {_MOST_TAPS - 1} to the "
                f"detector's {size[0]}x{size[1]}; give a smaller one."
            )
        # Whether OpenCV takes n for a whole number when it has computed it as 1 / (1 / n).
        whole = [abs(1.0 / (1.0 / n) - n) < 2.0**-52 for n in range(1, _MOST_TAPS + 2)]
        self.register_buffer("fast", torch.tensor([False, *whole]).float(), persistent=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Resized pictures, and () float32: 1 where the graph has enough taps for them, 0 where it has not."""
        device = pictures.device
        shape = [torch.full((), pictures.shape[axis], dtype=torch.int64, device=device) for axis in (1, 2)]
        inner = self._inner(shape)
        smaller = [torch.minimum(own, wanted) for own, wanted in zip(shape, inner, strict=True)]
        averaged = self._average(pictures, shape, smaller)
        enough = [own <= (taps - 1) * less for own, taps, less in zip(shape, self.taps, smaller, strict=True)]
        return self._enlarge(averaged, smaller, inner), (enough[0] & enough[1]).float()

    def _inner(self, shape: list[Tensor]) -> list[Tensor]:
        """Height and width of the picture within the result."""
        wanted = [torch.full_like(shape[0], length) for length in self.size]
        if self.fit == "stretch":
            return wanted
        # As `resize` does it, in float64: whether a half is rounded up hangs on the last digit.
        factor = torch.minimum(*(a.double() / b.double() for a, b in zip(wanted, shape, strict=True)))
        return [torch.round(own.double() * factor).long().clamp(min=1) for own in shape]

    def _average(self, pictures: Tensor, shape: list[Tensor], smaller: list[Tensor]) -> Tensor:
        """INTER_AREA. As many rows and columns as `size` has; those beyond `smaller` mean nothing."""
        factors = [own // less for own, less in zip(shape, smaller, strict=True)]
        fast = torch.ones((), device=pictures.device)
        for own, less, factor in zip(shape, smaller, factors, strict=True):
            known = self.fast.index_select(0, factor.clamp(max=_MOST_TAPS).view(1))[0]
            fast = fast * known * (own == factor * less).float()
        values = pictures
        for axis in (2, 1):
            own, less, length = shape[axis - 1], smaller[axis - 1], self.size[axis - 1]
            place = torch.arange(length, device=pictures.device)
            start, first = place * own // less, place * own % less
            end, last = (place + 1) * own // less, (place + 1) * own % less
            total: Tensor | None = None
            for tap in range(self.taps[axis - 1]):
                index = start + tap
                share = torch.where(index < end, less, torch.where(index == end, last, torch.zeros_like(last)))
                if tap == 0:
                    share = torch.where(first > 0, less - first, share)
                # What is less than a thousandth of a pixel is left out.
                share = torch.where(share * 1000 > less, share, torch.zeros_like(share))
                weight = share.float() / own.float()
                weight = torch.where(fast > 0, (share > 0).float(), weight)
                part = values.index_select(axis, torch.minimum(index, own - 1)).float() * _along(weight, axis)
                total = part if total is None else total + part
            assert total is not None
            values = total
        area = (factors[0] * factors[1]).float()
        rounded = torch.round(values)
        quarters = (factors[0] == 2) & (factors[1] == 2)
        whole = torch.where(quarters, torch.floor((values + 2) / 4), torch.round(values * (1.0 / area)))
        return torch.where(fast > 0, whole, rounded).clamp(0, 255)

    def _enlarge(self, values: Tensor, smaller: list[Tensor], inner: list[Tensor]) -> Tensor:
        """INTER_LINEAR, and black around what is `inner`."""
        (top, upper, lower, inside_rows), (left, near, far, inside_columns) = (
            self._interpolation(axis, smaller[axis], inner[axis], values.device) for axis in (0, 1)
        )
        # Beyond the last columns the near one counts alone; beyond the last rows both do, being the same row.
        clear = (left >= 0) & (left < smaller[1] - 1)
        near = torch.where(clear, near, torch.full_like(near, _COEFFICIENT))
        far = torch.where(clear, far, torch.zeros_like(far))
        one, other = (_within(left + step, smaller[1]) for step in (0, 1))
        along = values.index_select(2, one) * _along(near, 2) + values.index_select(2, other) * _along(far, 2)
        sixteenths = torch.floor(along / 16)
        one, other = (_within(top + step, smaller[0]) for step in (0, 1))
        total = _high_half(sixteenths.index_select(1, one), _along(upper, 1))
        total = total + _high_half(sixteenths.index_select(1, other), _along(lower, 1))
        inside = _along(inside_rows, 1) * _along(inside_columns, 2)
        return torch.floor((total + 2) / 4) * inside

    def _interpolation(
        self, axis: int, own: Tensor, wanted: Tensor, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For every row or column of the result: from which one it is taken, how much of it and of the next one, in
        units of 1 / 2048, and whether there is any."""
        length = self.size[axis]
        place = torch.arange(length, device=device) - (length - wanted) // 2
        position = ((2 * place + 1) * own - wanted).float() / (2 * wanted).float()
        start = torch.floor(position)
        beyond = position - start
        inside = ((place >= 0) & (place < wanted)).float()
        weights = (torch.round((1.0 - beyond) * _COEFFICIENT), torch.round(beyond * _COEFFICIENT))
        return start.long(), *weights, inside


def _along(values: Tensor, axis: int) -> Tensor:
    """(n,) to broadcast along an axis of (B, H, W, 3)."""
    return values.view(-1, 1, 1) if axis == 1 else values.view(-1, 1)


def _within(index: Tensor, length: Tensor) -> Tensor:
    return torch.minimum(index.clamp(min=0), length - 1)


def _high_half(values: Tensor, coefficients: Tensor) -> Tensor:
    """floor(values * coefficients / 2**16) of whole values below 2**15 and coefficients up to 2**11.

    The products have more than the 24 bits of a float32, so the lower 7 bits of the values are multiplied apart.
    """
    high = torch.floor(values / 128)
    low = values - 128 * high
    return torch.floor((high * coefficients + torch.floor(low * coefficients / 128)) / 512)
