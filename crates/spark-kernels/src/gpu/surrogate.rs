//! Surrogate derivatives in kernels: the formulas of `crate::surrogate`, traced.

use burn_cubecl::cubecl;
use cubecl::ir::Scope;
use cubecl::prelude::*;
use std::f32::consts::TAU;
use std::hash::{Hash, Hasher};
use std::ops::{Add, Mul, Neg, Sub};

use crate::Surrogate;
use crate::surrogate::formula::with_derivative;
use crate::surrogate::number::Number;

/// A surrogate that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fixed(pub Surrogate);

// Parameters are finite numbers, checked where they are read.
impl Eq for Fixed {}

impl Hash for Fixed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        format!("{:?}", self.0).hash(state);
    }
}

/// The derivative at `x`, the potential minus the threshold.
#[cube]
#[allow(unused_variables)]
pub(super) fn slope(x: f32, #[comptime] surrogate: Fixed) -> f32 {
    intrinsic!(|scope| {
        let x = Traced { scope, value: x };
        with_derivative!(surrogate.0, |derivative| derivative(x).value)
    })
}

/// A number of a kernel that is being compiled: arithmetic on it becomes instructions.
#[derive(Clone, Copy)]
struct Traced<'a> {
    scope: &'a Scope,
    value: NativeExpand<f32>,
}

impl<'a> Traced<'a> {
    fn with(self, value: impl FnOnce(&'a Scope, NativeExpand<f32>) -> NativeExpand<f32>) -> Self {
        Self { value: value(self.scope, self.value), ..self }
    }
}

impl Add for Traced<'_> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.with(|scope, x| x.__expand_add_method(scope, other.value))
    }
}

impl Sub for Traced<'_> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.with(|scope, x| x.__expand_sub_method(scope, other.value))
    }
}

impl Mul for Traced<'_> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.with(|scope, x| x.__expand_mul_method(scope, other.value))
    }
}

impl Add<f32> for Traced<'_> {
    type Output = Self;
    fn add(self, term: f32) -> Self {
        self + self.constant(term)
    }
}

impl Mul<f32> for Traced<'_> {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        self * self.constant(factor)
    }
}

impl Neg for Traced<'_> {
    type Output = Self;
    fn neg(self) -> Self {
        self.with(|scope, x| x.__expand_neg_method(scope))
    }
}

impl Number for Traced<'_> {
    fn constant(&self, value: f32) -> Self {
        Self { value: NativeExpand::from(value), ..*self }
    }

    fn abs(self) -> Self {
        self.with(|scope, x| x.__expand_abs_method(scope))
    }

    fn exp(self) -> Self {
        self.with(|scope, x| x.__expand_exp_method(scope))
    }

    fn ln(self) -> Self {
        self.with(|scope, x| x.__expand_ln_method(scope))
    }

    fn fraction(self) -> Self {
        self - self.with(|scope, x| x.__expand_round_method(scope))
    }

    fn cos_turns(self) -> Self {
        (self * TAU).with(|scope, x| x.__expand_cos_method(scope))
    }

    fn sqrt(self) -> Self {
        self.with(|scope, x| x.__expand_sqrt_method(scope))
    }

    fn recip(self) -> Self {
        self.constant(1.0).with(|scope, one| one.__expand_div_method(scope, self.value))
    }

    fn at_least(self, min: f32) -> Self {
        let min = self.constant(min);
        min.choose_by(min, self, |scope, min| min.__expand_gt_method(scope, &self.value))
    }

    fn choose(self, edge: f32, above: Self, below: Self) -> Self {
        let edge = self.constant(edge);
        self.choose_by(above, below, |scope, x| x.__expand_gt_method(scope, &edge.value))
    }
}

impl<'a> Traced<'a> {
    fn choose_by(
        self,
        then: Self,
        otherwise: Self,
        condition: impl FnOnce(&'a Scope, NativeExpand<f32>) -> NativeExpand<bool>,
    ) -> Self {
        let condition = condition(self.scope, self.value);
        self.with(|scope, _| select::expand(scope, condition, then.value, otherwise.value))
    }
}
