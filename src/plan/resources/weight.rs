//! How the processor is shared: from the scale of version 1 to that of version 2.

/// `cpu.weight` (1 to 10000) for `cpu.shares` (2 to 262144): the least integer not below
/// `10 ^ ((l^2 + 125 l) / 612 - 7/34)`, where `l` is the shares' logarithm to base 2. It maps least, default (1024 to
/// 100) and most to each other.
///
/// In fixed point with 48 bits behind the point, since there is no floating-point library. The error of the power stays
/// below 2^-30, and no power comes nearer to an integer than 2^-19 without being one.
pub(super) fn weight(shares: i64) -> i64 {
    const BITS: u32 = 48;
    const ONE: u64 = 1 << BITS;
    /// ln 10.
    const LN_10: u64 = 648_120_085_424_803;
    let times = |a: u64, b: u64| ((u128::from(a) * u128::from(b)) >> BITS) as u64;

    let shares = shares.clamp(2, 262_144) as u64;
    let whole = shares.ilog2();
    let mut logarithm = u64::from(whole) << BITS;
    // Each squaring of the mantissa doubles its logarithm, whose next bit then shows before the point.
    let mut mantissa = shares << (BITS - whole);
    for bit in (0..BITS).rev() {
        mantissa = times(mantissa, mantissa);
        if mantissa >= 2 * ONE {
            mantissa >>= 1;
            logarithm |= 1 << bit;
        }
    }
    // 7/34 is 126/612.
    let exponent = (times(logarithm, logarithm) + 125 * logarithm - 126 * ONE) / 612;
    // e^x = 1 + x + x^2/2! + x^3/3! + ...
    let x = times(exponent, LN_10);
    let (mut power, mut term) = (0, ONE);
    for n in 1.. {
        power += term;
        term = times(term, x) / n;
        if term == 0 {
            break;
        }
    }
    ((power + ONE - (ONE >> 30)) >> BITS) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_is_that_of_the_formula() {
        for shares in 2..=262_144_i64 {
            let l = (shares as f64).log2();
            let formula = 10f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0).ceil() as i64;
            assert_eq!(weight(shares), formula, "{shares}");
        }
        assert_eq!([0, 1, 2, 1024, 262_144, i64::MAX].map(weight), [1, 1, 1, 100, 10_000, 10_000]);
    }
}
