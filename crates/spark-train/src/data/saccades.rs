//! *Simulated* recordings of an event camera that looks at images.

use rand::RngExt;
use spark_core::seed;
use spark_io::events::{Event, Events};

use super::{Images, Recordings};

/// Pixels of the sensor around the image: N-MNIST shows 28 × 28 pixels to 34 × 34.
const MARGIN: usize = 3;
/// Saccades of a recording, and ms of each.
const SACCADES: usize = 3;
const MILLIS: usize = 100;
/// What the sensor takes black for, of an intensity of 1 for white: a logarithm needs some light.
const DARK: f32 = 0.1;

/// *Simulated* recordings of images by an event camera that moves in three saccades of 100 ms along a triangle,
/// in the extents, duration and layout of N-MNIST. They are no recordings of a real sensor, and results on them
/// are not results on N-MNIST; they let the code that reads it run offline.
///
/// A pixel compares `L = ln(0.1 + I)`, with the intensity `I` that the moving image has there (bilinear), with
/// what it was at its latest event, once a ms, and sends an event for every [`contrast`](Self::contrast) by which
/// it rose or fell, timed by interpolation. Sources: P. Lichtsteiner, C. Posch & T. Delbruck, IEEE Journal of
/// Solid-State Circuits 43, 2008 (the pixel); G. Orchard, A. Jayawant, G. K. Cohen & N. Thakor, Frontiers in
/// Neuroscience 9:437, 2015 (the saccades).
///
/// # Examples
/// ```
/// use spark_train::data::{Images, Saccades};
///
/// let mut digits = spark_train::data::mnist10k()?.test;
/// digits.truncate(2);
/// let simulated = Saccades::default().recordings(&digits, 1);
/// assert_eq!((simulated.len(), simulated.sensor()), (2, [34, 34]));
/// assert!(simulated.get(0).duration() <= 300_000);
/// assert_eq!(simulated, Saccades::default().recordings(&digits, 1));
/// # Ok::<(), spark_train::data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saccades {
    /// Pixels from side to side of the triangle.
    pub reach: f32,
    /// The change of `L` that makes an event.
    pub contrast: f32,
    /// Events by chance, in Hz at each pixel.
    pub noise: f32,
}

impl Default for Saccades {
    fn default() -> Self {
        Self { reach: 4.0, contrast: 0.3, noise: 0.5 }
    }
}

impl Saccades {
    /// Simulated recordings of all images, with their labels; of images of several channels the first is seen.
    ///
    /// # Panics
    /// When images have more than 65,529 rows or columns, or the contrast is not above 0.
    pub fn recordings(&self, images: &Images, seed: u64) -> Recordings {
        let extent = |pixels: usize| u16::try_from(pixels + 2 * MARGIN).expect("extents of 16 bits");
        let (width, height) = (extent(images.width), extent(images.height));
        let mut recordings = Recordings::new(width, height);
        for index in 0..images.len() {
            let recording = self.recording(images, index, seed, [width, height]);
            recordings
                .push(recording, images.labels[index].into())
                .expect("a sensor of one size and a label");
        }
        recordings
    }

    fn recording(&self, images: &Images, index: usize, seed: u64, [width, height]: [u16; 2]) -> Events {
        assert!(self.contrast > 0.0, "a contrast above 0");
        let scene = Scene { image: images.image(index), height: images.height, width: images.width };
        let mut found: Vec<Event> = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let at = |ms: usize| scene.brightness([f32::from(x), f32::from(y)], self.position(ms));
                let mut before = at(0);
                let mut reference = before;
                for ms in 1..=SACCADES * MILLIS {
                    let now = at(ms);
                    while (now - reference).abs() >= self.contrast {
                        let on = now > reference;
                        reference += if on { self.contrast } else { -self.contrast };
                        let part = ((reference - before) / (now - before)).clamp(0.0, 1.0);
                        let time = ((ms - 1) as f32 + part) * 1000.0;
                        found.push(Event { time: (time as u32).min(last()), x, y, on });
                    }
                    before = now;
                }
            }
        }
        let mut rng = seed::rng(seed, &format!("saccades.{index}"));
        let expected = self.noise * f32::from(width) * f32::from(height) * (SACCADES * MILLIS) as f32 * 1e-3;
        for _ in 0..(expected + rng.random::<f32>()) as usize {
            let (x, y) = (rng.random_range(0..width), rng.random_range(0..height));
            found.push(Event { time: rng.random_range(0..=last()), x, y, on: rng.random() });
        }
        found.sort_by_key(|event| (event.time, event.y, event.x));
        let mut events = Events::new(width, height);
        for event in found {
            events.push(event).expect("a pixel of the sensor");
        }
        events
    }

    /// Where the image is after `ms`, in pixels right of and below the middle: along a triangle that is as high
    /// as wide.
    fn position(&self, ms: usize) -> [f32; 2] {
        const CORNERS: [[f32; 2]; SACCADES + 1] = [[-0.5, 0.5], [0.0, -0.5], [0.5, 0.5], [-0.5, 0.5]];
        let saccade = (ms / MILLIS).min(SACCADES - 1);
        let part = (ms - saccade * MILLIS) as f32 / MILLIS as f32;
        std::array::from_fn(|axis| {
            let (from, to) = (CORNERS[saccade][axis], CORNERS[saccade + 1][axis]);
            self.reach * (from + (to - from) * part)
        })
    }
}

/// The last µs of a recording.
fn last() -> u32 {
    (SACCADES * MILLIS) as u32 * 1000 - 1
}

/// What the sensor looks at.
struct Scene<'a> {
    image: &'a [u8],
    height: usize,
    width: usize,
}

impl Scene<'_> {
    /// `L` at a pixel of the sensor when the image was moved by `position`.
    fn brightness(&self, pixel: [f32; 2], position: [f32; 2]) -> f32 {
        let [x, y] = std::array::from_fn(|axis| pixel[axis] - MARGIN as f32 - position[axis]);
        let (left, top) = (x.floor(), y.floor());
        let (right, down) = (x - left, y - top);
        let row = |y: f32| (1.0 - right) * self.intensity(left, y) + right * self.intensity(left + 1.0, y);
        (DARK + (1.0 - down) * row(top) + down * row(top + 1.0)).ln()
    }

    /// The intensity of a pixel of the image; black around it.
    fn intensity(&self, x: f32, y: f32) -> f32 {
        if x < 0.0 || y < 0.0 || x >= self.width as f32 || y >= self.height as f32 {
            return 0.0;
        }
        f32::from(self.image[y as usize * self.width + x as usize]) / 255.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(pixels: &[u8], width: usize) -> Images {
        let height = pixels.len() / width;
        Images { pixels: pixels.to_vec(), labels: vec![4], channels: 1, height, width }
    }

    #[test]
    fn nothing_to_see_makes_no_events_but_noise() {
        let still = Saccades { noise: 0.0, ..Saccades::default() };
        assert!(still.recordings(&image(&[0; 25], 5), 1).get(0).is_empty());
        let noisy = Saccades { noise: 10.0, ..Saccades::default() }.recordings(&image(&[0; 25], 5), 1);
        // 11 × 11 pixels for 0.3 s.
        assert!((362..=364).contains(&noisy.get(0).len()), "{}", noisy.get(0).len());
    }

    #[test]
    fn a_bright_spot_brings_as_much_light_as_it_takes_away() {
        let mut pixels = [0; 25];
        pixels[12] = 255;
        let still = Saccades { noise: 0.0, ..Saccades::default() };
        let recordings = still.recordings(&image(&pixels, 5), 1);
        let events: Vec<Event> = recordings.get(0).iter().collect();
        assert!(events.windows(2).all(|pair| pair[0].time <= pair[1].time));
        assert!(!events.is_empty() && recordings.labels() == [4]);
        // The path ends where it began, so each pixel ends within a step of its contrast from where it was.
        for y in 0..11 {
            for x in 0..11 {
                let here = events.iter().filter(|event| (event.x, event.y) == (x, y));
                let sum: i32 = here.map(|event| if event.on { 1 } else { -1 }).sum();
                assert!(sum.abs() <= 1, "{x}, {y}: {sum}");
            }
        }
    }

    #[test]
    fn simulated_digits_survive_the_layout_of_nmnist() {
        let mut digits = crate::data::mnist10k().unwrap().test;
        digits.truncate(3);
        let simulated = Saccades::default().recordings(&digits, 1);
        assert!((500..20_000).contains(&simulated.get(0).len()), "{}", simulated.get(0).len());
        let folder = tempfile::tempdir().unwrap();
        simulated.write(folder.path()).unwrap();
        let (read, classes) = Recordings::read(folder.path(), 34, 34).unwrap();
        assert_eq!(read.len(), 3);
        let label = classes.iter().position(|class| *class == digits.labels[0].to_string()).unwrap();
        assert!((0..3).any(|i| read.get(i) == simulated.get(0) && usize::from(read.labels()[i]) == label));
    }
}
