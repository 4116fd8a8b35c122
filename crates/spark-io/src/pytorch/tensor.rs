//! Tensors as views of storages.

use burn::tensor::{BoolStore, Bytes, DType, Shape, TensorData};

use super::pickle::Budget;

/// Type of the numbers of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Dtype {
    fn burn(self) -> DType {
        match self {
            Self::F64 => DType::F64,
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
            Self::I64 => DType::I64,
            Self::I32 => DType::I32,
            Self::I16 => DType::I16,
            Self::I8 => DType::I8,
            Self::U8 => DType::U8,
            Self::Bool => DType::Bool(BoolStore::Native),
        }
    }

    /// Bytes of a number.
    fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// Numbers in a row, as they lie in the file, little-endian.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage<'a> {
    dtype: Dtype,
    bytes: &'a [u8],
}

impl<'a> Storage<'a> {
    /// `count` numbers, which must be all of `bytes`.
    pub(super) fn new(dtype: Dtype, count: i64, bytes: &'a [u8]) -> Result<Self, String> {
        let expected = usize::try_from(count).ok().and_then(|count| count.checked_mul(dtype.size()));
        if expected != Some(bytes.len()) {
            return Err(format!("found {} bytes for {count} numbers of type {dtype:?}", bytes.len()));
        }
        if dtype == Dtype::Bool
            && let Some(at) = bytes.iter().position(|&byte| byte > 1)
        {
            return Err(format!("byte {at}: found {}, expected 0 or 1", bytes[at]));
        }
        Ok(Self { dtype, bytes })
    }
}

/// A tensor: a place in a storage, and for each axis how many entries and how far apart.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    storage: Storage<'a>,
    offset: usize,
    pub(super) size: Vec<usize>,
    pub(super) stride: Vec<usize>,
}

impl<'a> View<'a> {
    /// Checks that the view stays inside its storage.
    pub(super) fn new(
        storage: Storage<'a>,
        offset: usize,
        size: Vec<usize>,
        stride: Vec<usize>,
    ) -> Result<Self, String> {
        let view = Self { storage, offset, size, stride };
        let numbers = storage.bytes.len() / storage.dtype.size();
        let inside = view.size.len() == view.stride.len()
            && view.count().is_some_and(|count| count == 0 || view.last().is_some_and(|last| last < numbers));
        if !inside {
            return Err(format!(
                "found a tensor of size {:?} with strides {:?} from {offset} on, which reaches outside its \
                 storage of {numbers} numbers",
                view.size, view.stride
            ));
        }
        Ok(view)
    }

    fn count(&self) -> Option<usize> {
        self.size.iter().try_fold(1usize, |count, &size| count.checked_mul(size))
    }

    /// The place of the last entry, where no axis is empty.
    fn last(&self) -> Option<usize> {
        self.size.iter().zip(&self.stride).try_fold(self.offset, |place, (&size, &stride)| {
            place.checked_add((size - 1).checked_mul(stride)?)
        })
    }

    /// The tensor with its numbers in row-major order, in memory of its own.
    pub(super) fn data(&self, budget: &mut Budget) -> Result<TensorData, String> {
        let width = self.storage.dtype.size();
        let length = self.count().and_then(|count| count.checked_mul(width)).unwrap_or(usize::MAX);
        budget.take(length)?;
        let mut bytes = Vec::with_capacity(length);
        if length > 0 {
            self.copy(0, self.offset * width, width, &mut bytes);
        }
        let dtype = self.storage.dtype.burn();
        Ok(TensorData::from_bytes(Bytes::from_bytes_vec(bytes), Shape::from(self.size.clone()), dtype))
    }

    /// Appends what lies along the axes from `axis` on, from byte `place` of the storage.
    fn copy(&self, axis: usize, place: usize, width: usize, out: &mut Vec<u8>) {
        let rest: usize = self.size[axis..].iter().product();
        if self.is_contiguous(axis) {
            out.extend_from_slice(&self.storage.bytes[place..place + rest * width]);
            return;
        }
        for index in 0..self.size[axis] {
            self.copy(axis + 1, place + index * self.stride[axis] * width, width, out);
        }
    }

    /// Whether the axes from `axis` on lie in the storage as they do in row-major order.
    fn is_contiguous(&self, axis: usize) -> bool {
        let mut expected = 1;
        self.size[axis..].iter().zip(&self.stride[axis..]).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }
}
