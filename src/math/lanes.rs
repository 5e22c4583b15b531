//! Several f64 side by side. Plain arrays: inside a function compiled for AVX2 or AVX-512 they become vector
//! registers, and the results are the same bits whatever the instruction set.

use super::{Scalar, array, elementary};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// `L` numbers that go through the same arithmetic together.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
pub struct Lanes<const L: usize>(pub [f64; L]);

macro_rules! elementwise {
    ($trait:ident, $method:ident, $op:tt) => {
        impl<const L: usize> $trait for Lanes<L> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(array(|i| self.0[i] $op other.0[i]))
            }
        }
    };
}
elementwise!(Add, add, +);
elementwise!(Sub, sub, -);
elementwise!(Mul, mul, *);
elementwise!(Div, div, /);

impl<const L: usize> Neg for Lanes<L> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(array(|i| -self.0[i]))
    }
}

impl<const L: usize> Scalar for Lanes<L> {
    #[inline(always)]
    fn lit(value: f64) -> Self {
        Self([value; L])
    }
    #[inline(always)]
    fn exp(self) -> Self {
        Self(array(|i| elementary::exp(self.0[i])))
    }
    #[inline(always)]
    fn ln(self) -> Self {
        Self(array(|i| elementary::ln(self.0[i])))
    }
    #[inline(always)]
    fn sin(self) -> Self {
        Self(array(|i| libm::sin(self.0[i])))
    }
    #[inline(always)]
    fn cos(self) -> Self {
        Self(array(|i| libm::cos(self.0[i])))
    }
    #[inline(always)]
    fn atan(self) -> Self {
        Self(array(|i| libm::atan(self.0[i])))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(array(|i| f64::sqrt(self.0[i])))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(array(|i| f64::abs(self.0[i])))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(array(|i| Scalar::min(self.0[i], other.0[i])))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(array(|i| Scalar::max(self.0[i], other.0[i])))
    }
    #[inline(always)]
    fn select_less(self, other: Self, if_less: Self, otherwise: Self) -> Self {
        Self(array(|i| if self.0[i] < other.0[i] { if_less.0[i] } else { otherwise.0[i] }))
    }
}
