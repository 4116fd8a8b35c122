//! Where tensors live: `auto`, `flex`, `ndarray`, `wgpu[:N]` or `cuda[:N]`.

use burn::tensor::Device;
use std::fmt;
use std::str::FromStr;

/// What a user asked for with `--device`.
///
/// # Examples
/// ```
/// use spark_core::DeviceChoice;
///
/// let choice: DeviceChoice = "wgpu:1".parse()?;
/// assert_eq!(choice, DeviceChoice::Wgpu(1));
/// assert_eq!(choice.to_string(), "wgpu:1");
/// let device = "flex".parse::<DeviceChoice>()?.resolve()?;
/// # let _ = device;
/// # Ok::<(), spark_core::DeviceError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The fastest there is: CUDA, then a GPU through wgpu, then the CPU through flex.
    #[default]
    Auto,
    /// The CPU, Burn's flex backend.
    Flex,
    /// The CPU, Burn's ndarray backend.
    NdArray,
    /// Adapter number N through wgpu (Vulkan, Metal or DirectX).
    Wgpu(usize),
    /// NVIDIA GPU number N.
    Cuda(usize),
}

/// A device that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The name is none of the known ones.
    #[error("unknown device `{0}`: expected auto, flex, ndarray, wgpu, wgpu:N, cuda or cuda:N")]
    Unknown(String),
    /// The backend was not compiled in.
    #[error("device `{choice}` is not in this build: build with `--features {feature}`")]
    NotBuilt {
        /// The device asked for.
        choice: DeviceChoice,
        /// The Cargo feature that brings it.
        feature: &'static str,
    },
    /// The backend is compiled in, but the machine has no such device.
    #[error("device `{choice}` is not there: this machine offers {found} device(s) to {backend}")]
    NotThere {
        /// The device asked for.
        choice: DeviceChoice,
        /// How many devices the backend found.
        found: usize,
        /// Name of the backend.
        backend: &'static str,
    },
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Flex => f.write_str("flex"),
            Self::NdArray => f.write_str("ndarray"),
            Self::Wgpu(n) => write!(f, "wgpu:{n}"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let (name, index) = match text.split_once(':') {
            None => (text, None),
            Some((name, digits)) => {
                let index = digits.parse().map_err(|_| DeviceError::Unknown(text.to_owned()))?;
                (name, Some(index))
            }
        };
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("flex", None) => Ok(Self::Flex),
            ("ndarray", None) => Ok(Self::NdArray),
            ("wgpu", n) => Ok(Self::Wgpu(n.unwrap_or(0))),
            ("cuda", n) => Ok(Self::Cuda(n.unwrap_or(0))),
            _ => Err(DeviceError::Unknown(text.to_owned())),
        }
    }
}

impl DeviceChoice {
    /// The device, without autodiff.
    ///
    /// # Errors
    /// When the backend is not in this build (the error names the feature) or the machine has no such
    /// device.
    pub fn resolve(self) -> Result<Device, DeviceError> {
        match self {
            Self::Auto => automatic_choice(&list()).resolve(),
            Self::Flex => Ok(Device::flex()),
            Self::NdArray => Ok(ndarray()),
            Self::Wgpu(n) => pick(self, wgpu_devices(), n, "wgpu"),
            Self::Cuda(n) => pick(self, cuda_devices(), n, "cuda"),
        }
    }
}

/// A device of this machine that this build can use.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// What to write after `--device`.
    pub choice: DeviceChoice,
    /// What it is, as the device or its driver names itself.
    pub description: String,
    /// Whether it is a GPU; a software renderer is not.
    pub gpu: bool,
}

/// Every device that this build and this machine offer, the CPU ones first.
pub fn list() -> Vec<DeviceInfo> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = |choice, backend: &str| DeviceInfo {
        choice,
        description: format!("CPU, {threads} threads, Burn's {backend} backend"),
        gpu: false,
    };
    let mut devices = vec![cpu(DeviceChoice::Flex, "flex"), cpu(DeviceChoice::NdArray, "ndarray")];
    for (n, device) in wgpu_devices().into_iter().flatten().enumerate() {
        let gpu = is_hardware(&device);
        let kind = if gpu { "GPU" } else { "software renderer" };
        devices.push(DeviceInfo {
            choice: DeviceChoice::Wgpu(n),
            description: format!("{}, {kind} through wgpu", name(&device)),
            gpu,
        });
    }
    for (n, device) in cuda_devices().into_iter().flatten().enumerate() {
        devices.push(DeviceInfo {
            choice: DeviceChoice::Cuda(n),
            description: format!("{}, GPU through CUDA", name(&device)),
            gpu: true,
        });
    }
    devices
}

/// The one of `devices`, from [`list`], that [`DeviceChoice::Auto`] stands for.
pub fn automatic_choice(devices: &[DeviceInfo]) -> DeviceChoice {
    let rank = |info: &&DeviceInfo| match info.choice {
        DeviceChoice::Cuda(_) => 0,
        DeviceChoice::Wgpu(_) if info.gpu => 1,
        DeviceChoice::Flex => 2,
        _ => 3,
    };
    devices.iter().min_by_key(rank).map_or(DeviceChoice::Flex, |info| info.choice)
}

/// The backends that this build lacks, with the Cargo feature that brings each.
pub fn missing_features() -> Vec<(&'static str, &'static str)> {
    let mut missing = Vec::new();
    if wgpu_devices().is_none() {
        missing.push(("wgpu", "GPUs of any maker through Vulkan, Metal or DirectX"));
    }
    if cuda_devices().is_none() {
        missing.push(("cuda", "NVIDIA GPUs"));
    }
    missing
}

fn pick(
    choice: DeviceChoice,
    devices: Option<Vec<Device>>,
    index: usize,
    backend: &'static str,
) -> Result<Device, DeviceError> {
    let mut devices = devices.ok_or(DeviceError::NotBuilt { choice, feature: backend })?;
    if index >= devices.len() {
        return Err(DeviceError::NotThere { choice, found: devices.len(), backend });
    }
    Ok(devices.swap_remove(index))
}

#[allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.
fn ndarray() -> Device {
    Device::ndarray()
}

/// The adapters wgpu sees, GPUs before software renderers; `None` when wgpu is not in this build.
fn wgpu_devices() -> Option<Vec<Device>> {
    #[cfg(feature = "wgpu")]
    {
        let mut devices = Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec();
        devices.sort_by_key(|device| !is_hardware(device));
        Some(devices)
    }
    #[cfg(not(feature = "wgpu"))]
    None
}

/// The GPUs CUDA sees; `None` when CUDA is not in this build.
fn cuda_devices() -> Option<Vec<Device>> {
    #[cfg(feature = "cuda")]
    {
        Some(Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec())
    }
    #[cfg(not(feature = "cuda"))]
    None
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn is_hardware(device: &Device) -> bool {
    device.identity().is_some_and(|identity| identity.physical.is_some())
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn is_hardware(_: &Device) -> bool {
    false
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn name(device: &Device) -> String {
    device.identity().map_or_else(|| format!("{device:?}"), |identity| identity.name)
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn name(device: &Device) -> String {
    format!("{device:?}")
}

/// Whether the memory of a device is the host's.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
///
/// assert!(spark_core::device::is_cpu(&Device::flex()));
/// ```
pub fn is_cpu(device: &Device) -> bool {
    [DeviceChoice::Flex, DeviceChoice::NdArray].into_iter().any(|cpu| cpu.resolve().as_ref() == Ok(device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["auto", "flex", "ndarray", "wgpu:0", "wgpu:3", "cuda:0"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert_eq!("wgpu".parse(), Ok(DeviceChoice::Wgpu(0)));
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        for name in ["", "gpu", "flex:0", "wgpu:", "wgpu:-1", "cuda:x"] {
            let error = name.parse::<DeviceChoice>().unwrap_err();
            assert!(error.to_string().contains("expected auto, flex"), "{error}");
        }
    }

    #[test]
    fn the_cpu_is_always_listed_and_usable() {
        let devices = list();
        assert_eq!(devices[0].choice, DeviceChoice::Flex);
        assert_eq!(devices[1].choice, DeviceChoice::NdArray);
        for info in &devices[..2] {
            info.choice.resolve().unwrap();
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_backend_that_is_not_built_in_names_its_feature() {
        let error = DeviceChoice::Cuda(0).resolve().unwrap_err();
        assert_eq!(error.to_string(), "device `cuda:0` is not in this build: build with `--features cuda`");
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn an_adapter_that_is_not_there_is_an_error() {
        let error = DeviceChoice::Wgpu(1000).resolve().unwrap_err();
        assert!(matches!(error, DeviceError::NotThere { .. }), "{error}");
    }
}
