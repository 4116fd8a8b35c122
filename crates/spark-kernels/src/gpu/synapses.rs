//! Products of few rows of spikes that read the weights of active units only.

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::kernel::{into_contiguous, untile};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// Threads of a workgroup side by side, each with one vector of postsynaptic units.
const COLUMNS: u32 = 8;

/// Parts of the presynaptic units that a workgroup sums up at the same time.
const PARTS: u32 = 32;

/// Threads of a workgroup; GPUs have as many.
const THREADS: u32 = COLUMNS * PARTS;

/// Numbers of a vector, where the postsynaptic units are a multiple of it.
const VECTOR: usize = 4;

/// Bits of a word.
const BITS: u32 = 32;

/// `spikes [rows, pre] × weight [pre, post] + bias` in one launch; `None` for layouts and element types that
/// it is not made for.
///
/// Sums are `f32`, of one part after the other and ascending within each: they do not depend on the order
/// in which the device runs its threads.
pub(crate) fn product(
    spikes: &CubeTensor,
    weight: &CubeTensor,
    bias: Option<&CubeTensor>,
) -> Option<CubeTensor> {
    let (dtype, client) = (spikes.dtype, spikes.client.clone());
    let (rows, pre, post) = (spikes.shape()[0], weight.shape()[0], weight.shape()[1]);
    let known = matches!(dtype, DType::F32 | DType::F16 | DType::BF16);
    let same = [Some(weight), bias].into_iter().flatten().all(|tensor| tensor.dtype == dtype);
    let fits = client.properties().hardware.max_units_per_cube >= THREADS;
    let weight = untile(weight.clone());
    // Rows may lie further apart than they are long.
    let [pitch, step] = [0, 1].map(|axis| weight.meta.strides()[axis]);
    if !known || !same || !fits || step != 1 || rows * pre * post == 0 {
        return None;
    }
    let vector = if [pitch, post].iter().all(|length| length.is_multiple_of(VECTOR)) { VECTOR } else { 1 };
    let shape = Shape::from([rows, post]);
    let output = empty_device_contiguous_dtype(client.clone(), spikes.device.clone(), shape, dtype);
    let address = [spikes, &weight, &output].map(CubeTensor::required_address_type);
    let buffer = |tensor: &CubeTensor| into_contiguous(tensor.clone()).into_buffer_arg();
    gather::launch(
        &client,
        CubeCount::Static((post / vector).div_ceil(COLUMNS as usize) as u32, rows as u32, 1),
        CubeDim::new_2d(COLUMNS, PARTS),
        address.into_iter().max().unwrap_or_default(),
        vector,
        buffer(spikes),
        weight.into_tensor_arg(),
        bias.map(buffer).into(),
        output.clone().into_buffer_arg(),
        pre,
        post / vector,
        pitch / vector,
        dtype_to_storage_type(dtype),
    );
    Some(output)
}

/// One workgroup per row and [`COLUMNS`] vectors of the output; `post` and `pitch`, the distance from one
/// row of weights to the next, count vectors.
///
/// Which presynaptic units are active is packed into words of bits first, once for the workgroup. Each of the
/// [`PARTS`] then goes through the bits of every so many-th word.
#[cube(launch, address_type = "dynamic")]
fn gather<F: Float, N: Size>(
    spikes: &[F],
    weight: &Tensor<Vector<F, N>>,
    bias: ComptimeOption<&[Vector<F, N>]>,
    output: &mut [Vector<F, N>],
    pre: usize,
    post: usize,
    pitch: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS_Y as usize;
    let column = (CUBE_POS_X * COLUMNS + UNIT_POS_X) as usize;
    let mut masks = Shared::new_slice(THREADS as usize);
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut start = 0;
    while start < pre {
        let end = min(start + (THREADS * BITS) as usize, pre);
        let first = start + (UNIT_POS * BITS) as usize;
        if first < end {
            let mut mask = 0u32;
            for bit in 0..min((end - first) as u32, BITS) {
                if spikes[row * pre + first + bit as usize] != F::new(0.0) {
                    mask |= 1u32 << bit;
                }
            }
            masks[UNIT_POS as usize] = mask;
        }
        sync_cube();
        if column < post {
            let words = (end - start).div_ceil(BITS as usize);
            let mut word = UNIT_POS_Y as usize;
            while word < words {
                let mut mask = masks[word];
                while mask != 0 {
                    let input = start + word * BITS as usize + mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    let spike = f32::cast_from(spikes[row * pre + input]);
                    sum += Vector::new(spike) * Vector::cast_from(weight[input * pitch + column]);
                }
                word += PARTS as usize;
            }
        }
        sync_cube();
        start = end;
    }
    let mut sums = Shared::new_slice(THREADS as usize);
    sums[UNIT_POS as usize] = sum;
    sync_cube();
    if UNIT_POS_Y == 0 && column < post {
        let first: ComptimeOption<Vector<f32, N>> = bias.as_ref().map(|bias| Vector::cast_from(bias[column]));
        let mut total = first.unwrap_or_default();
        for part in 0..PARTS {
            total += sums[(part * COLUMNS + UNIT_POS_X) as usize];
        }
        output[row * post + column] = Vector::cast_from(total);
    }
}
