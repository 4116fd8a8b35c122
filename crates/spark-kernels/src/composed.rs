//! Burn's backend operations as ordinary expressions.
//!
//! The reference bodies of [`SpikeOps`](crate::SpikeOps) run below the tensor interface, where an
//! addition is `B::float_add(a, b)`. [`T`] gives such a primitive operators, so that a reference reads
//! like its equation.

use burn::backend::{Backend, Scalar, Slice, TensorMetadata, get_device_settings, tensor::FloatTensor};
use burn::tensor::Shape;
use std::ops::{Add, Mul, Neg, Sub};

use crate::Surrogate;
use crate::surrogate::formula::with_derivative;
use crate::surrogate::number::Number;

/// A float tensor of backend `B`.
pub(crate) struct T<B: Backend>(pub FloatTensor<B>);

impl<B: Backend> Clone for T<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backend> Add for T<B> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(B::float_add(self.0, other.0))
    }
}

impl<B: Backend> Sub for T<B> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(B::float_sub(self.0, other.0))
    }
}

impl<B: Backend> Mul for T<B> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(B::float_mul(self.0, other.0))
    }
}

impl<B: Backend> Mul<f32> for T<B> {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        Self(B::float_mul_scalar(self.0, Scalar::from(factor)))
    }
}

impl<B: Backend> Add<f32> for T<B> {
    type Output = Self;
    fn add(self, term: f32) -> Self {
        Self(B::float_add_scalar(self.0, Scalar::from(term)))
    }
}

impl<B: Backend> Neg for T<B> {
    type Output = Self;
    fn neg(self) -> Self {
        Self(B::float_neg(self.0))
    }
}

impl<B: Backend> T<B> {
    pub fn shape(&self) -> Shape {
        self.0.shape()
    }

    /// `1 − x`.
    pub fn complement(self) -> Self {
        -self + 1.0
    }

    /// Exactly 1 where `x > 0` and 0 elsewhere.
    pub fn step(self) -> Self {
        let device = self.0.device();
        let settings = get_device_settings::<B>(&device);
        let zeros = B::float_zeros(self.shape(), &device, self.0.dtype().into());
        let above = B::float_greater_elem(self.0, Scalar::from(0.0f32), settings.bool_dtype);
        // Not `bool_into_float`: Burn's fusion of GPU operations ends at it.
        Self(B::float_mask_fill(zeros, above, Scalar::from(1.0f32)))
    }

    /// The surrogate derivative at every element.
    pub fn derivative(self, surrogate: Surrogate) -> Self {
        with_derivative!(surrogate, |derivative| derivative(self))
    }

    /// Entry `index` of the first axis, without that axis.
    pub fn at(&self, index: usize) -> Self {
        let shape = self.shape();
        let mut slices = vec![Slice::full(); shape.num_dims()];
        slices[0] = Slice::from(index..index + 1);
        let rest = Shape::from(shape.to_vec()[1..].to_vec());
        Self(B::float_reshape(B::float_slice(self.0.clone(), &slices), rest))
    }

    /// Joins tensors of one shape along a new first axis.
    pub fn stack(entries: Vec<Self>) -> Self {
        let rows = entries
            .into_iter()
            .map(|entry| {
                let mut shape = vec![1];
                shape.extend(entry.shape().to_vec());
                B::float_reshape(entry.0, Shape::from(shape))
            })
            .collect();
        Self(B::float_cat(rows, 0))
    }

    /// Sums over the axes in which `like` has length 1, so that the result has its shape.
    pub fn sum_to(self, like: &Shape) -> Self {
        let shape = self.shape();
        let missing = shape.num_dims() - like.num_dims();
        let mut primitive = self.0;
        for axis in 0..shape.num_dims() {
            let wanted = if axis < missing { 1 } else { like[axis - missing] };
            if wanted == 1 && shape[axis] != 1 {
                primitive = B::float_sum_dim(primitive, axis);
            }
        }
        Self(B::float_reshape(primitive, like.clone()))
    }

    /// Adds leading axes of length 1 up to `rank`.
    pub fn lift(self, rank: usize) -> Self {
        let shape = self.shape();
        let mut lifted = vec![1; rank - shape.num_dims()];
        lifted.extend(shape.to_vec());
        Self(B::float_reshape(self.0, Shape::from(lifted)))
    }
}

/// What steps of simulation need besides.
impl<B: Backend> T<B> {
    /// The same elements in another shape.
    pub fn reshape<S: Into<Shape>>(self, shape: S) -> Self {
        Self(B::float_reshape(self.0, shape.into()))
    }

    /// Repeated along the axes of length 1 to fill `shape`.
    pub fn expand<S: Into<Shape>>(self, shape: S) -> Self {
        Self(B::float_expand(self.0, shape.into()))
    }

    /// The same values without their history.
    pub fn detach(self) -> Self {
        Self(B::float_detach(self.0))
    }

    /// Exactly 1 where `x ≠ 0` and 0 elsewhere.
    pub fn nonzero(self) -> Self {
        self.abs().step()
    }

    /// `value` where `mask` is 1 and `self` where it is 0; no gradient reaches the mask.
    pub fn replaced(self, mask: Self, value: Self) -> Self {
        let shape = mask.shape();
        let settings = get_device_settings::<B>(&mask.0.device());
        let mask = B::float_greater_elem(mask.0, Scalar::from(0.0f32), settings.bool_dtype);
        Self(B::float_mask_where(self.expand(shape.clone()).0, mask, value.expand(shape).0))
    }

    /// The smaller of both, element by element; the gradient goes to the one that is taken.
    pub fn at_most(self, bound: Self) -> Self {
        let above = (self.clone() - bound.clone()).step();
        self.replaced(above, bound)
    }
}
