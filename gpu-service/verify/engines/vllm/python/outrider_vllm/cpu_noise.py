"""The noise of one token on a CPU, compiled: its bits, a bound that runs on vectors, and exactly.

The first two are made of 32-bit instructions by name: numba widens every integer to 64 bits, which a vector has half as
many of.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from outrider_vllm.noise import LOG_COEFFICIENTS, MIX_FACTORS

I32, F32 = ir.IntType(32), ir.FloatType()
LN2 = math.log(2)
LN2_F32 = float(np.float32(LN2))
COEFFICIENTS = np.array(LOG_COEFFICIENTS)
LOW_MANTISSA = math.sqrt(2) * 0.5


@intrinsic
def noise_bits(typing: Any, product: Any, first: Any, second: Any) -> Any:
    """As `noise.noise_bits`, of one token: u32. `product`: TOKEN_FACTOR times the token."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        def folded(x: Any, by: int) -> Any:
            return builder.xor(x, builder.lshr(x, ir.Constant(I32, by)))

        def mixed(x: Any) -> Any:
            x = builder.mul(folded(x, 16), ir.Constant(I32, MIX_FACTORS[0]))
            x = builder.mul(folded(x, 15), ir.Constant(I32, MIX_FACTORS[1]))
            return folded(x, 16)

        product, first, second = arguments
        return mixed(builder.xor(mixed(builder.xor(product, first)), second))

    return types.uint32(types.uint32, types.uint32, types.uint32), build


@intrinsic
def noise_bound(typing: Any, bits: Any) -> Any:
    """No less than the noise of these bits, f32: -ln(1 - u), of which -ln(-ln u) is always a little below.

    What a float's bits say as an integer is its base 2 logarithm, the mantissa taken as it is: never too much. Of 1 - u
    the half is taken, so that it fits a signed integer, rounded down.
    """

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        half = builder.lshr(builder.not_(arguments[0]), ir.Constant(I32, 1))
        word = builder.sitofp(builder.bitcast(builder.sitofp(half, F32), I32), F32)
        logarithm = builder.fmul(word, ir.Constant(F32, LN2_F32 * 2.0**-23))
        return builder.fsub(ir.Constant(F32, (127 + 31) * LN2_F32), logarithm)

    return types.float32(types.uint32), build


@njit
def exact_noise(bits):  # type: ignore[no-untyped-def]
    """As `noise.gumbel`, f64."""
    u = (np.float64(bits) + 0.5) * 2.0**-32
    return -_natural_log(-_natural_log(u))


@njit
def _natural_log(x):  # type: ignore[no-untyped-def]
    mantissa, exponent = math.frexp(x)
    if mantissa < LOW_MANTISSA:
        mantissa *= 2
        exponent -= 1
    t = mantissa - 1
    total = COEFFICIENTS[-1]
    for i in range(len(COEFFICIENTS) - 2, -1, -1):
        total = total * t + COEFFICIENTS[i]
    return total * t + exponent * LN2
