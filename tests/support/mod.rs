//! What the integration tests share.

use spark::core::DeviceError;
use spark::prelude::{Device, DeviceChoice};

/// Every backend of this build, by name, without autodiff.
///
/// A GPU backend whose machine has no adapter is left out with a note; `SPARK_REQUIRE_GPU=1` makes that a
/// failure, so that CI cannot lose those tests unnoticed.
pub fn devices() -> Vec<(String, Device)> {
    let mut choices = vec![DeviceChoice::Flex, DeviceChoice::NdArray];
    if cfg!(feature = "wgpu") {
        choices.push(DeviceChoice::Wgpu(0));
    }
    if cfg!(feature = "cuda") {
        choices.push(DeviceChoice::Cuda(0));
    }
    let gpu = cfg!(feature = "wgpu") || cfg!(feature = "cuda");
    let required = std::env::var("SPARK_REQUIRE_GPU").is_ok_and(|value| value == "1");
    assert!(gpu || !required, "SPARK_REQUIRE_GPU=1, but this build has no GPU backend");
    let resolve = |choice: DeviceChoice| match choice.resolve() {
        Ok(device) => Some((choice.to_string(), device)),
        Err(error @ DeviceError::NotThere { .. }) if !required => {
            eprintln!("left out: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    };
    choices.into_iter().filter_map(resolve).collect()
}
