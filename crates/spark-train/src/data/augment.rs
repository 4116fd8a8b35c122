//! Changes of samples that keep their class, new ones every epoch.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use spark_core::seed;
use spark_io::events::Event;
use std::sync::Arc;

use super::{Frames, Images, Source};
use crate::Purpose;

/// The draws for a sample in an epoch; none for evaluation.
fn draws(seed: u64, purpose: Purpose, index: usize) -> Option<ChaCha8Rng> {
    match purpose {
        Purpose::Evaluate => None,
        Purpose::Train(epoch) => Some(seed::rng(seed, &format!("augment.{epoch}.{index}"))),
    }
}

/// A flip and a shift, drawn for a whole sample.
#[derive(Clone, Copy, Debug)]
struct Move {
    flip: bool,
    x: i64,
    y: i64,
}

impl Move {
    fn draw(rng: &mut ChaCha8Rng, flip: f32, shift: u16) -> Self {
        let shift = i64::from(shift);
        Self {
            flip: rng.random::<f32>() < flip,
            x: rng.random_range(-shift..=shift),
            y: rng.random_range(-shift..=shift),
        }
    }

    /// Where pixel `[x, y]` of `width` × `height` goes; nowhere when that lies outside.
    fn apply(self, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> Option<[usize; 2]> {
        let x = if self.flip { width - 1 - x } else { x };
        let along = |place: usize, shift: i64, extent: usize| {
            usize::try_from(place as i64 + shift).ok().filter(|place| *place < extent)
        };
        Some([along(x, self.x, width)?, along(y, self.y, height)?])
    }
}

/// Images that are flipped and shifted for training; evaluation sees them as they are.
///
/// # Examples
/// ```
/// use spark_train::Purpose;
/// use spark_train::data::{AugmentedImages, Frames, Images, Source};
/// use std::sync::Arc;
///
/// let images = Images { pixels: vec![1, 2, 3], labels: vec![0], channels: 1, height: 1, width: 3 };
/// let augmented = AugmentedImages { images: Arc::new(images), flip: 1.0, shift: 0 };
/// assert_eq!(augmented.sample(0, 1, Purpose::Train(0)), Frames::Levels(vec![3, 2, 1].into()));
/// assert_eq!(augmented.sample(0, 1, Purpose::Evaluate), Frames::Levels(vec![1, 2, 3].into()));
/// ```
#[derive(Clone, Debug)]
pub struct AugmentedImages {
    /// The images.
    pub images: Arc<Images>,
    /// Probability of left and right being exchanged.
    pub flip: f32,
    /// The most pixels by which an image moves in each direction; 0 comes in where it moved away.
    pub shift: u16,
}

impl Source for AugmentedImages {
    fn labels(&self) -> &[u8] {
        &self.images.labels
    }

    fn shape(&self) -> Vec<usize> {
        Source::shape(&*self.images)
    }

    fn frames(&self) -> usize {
        1
    }

    fn sample(&self, index: usize, seed: u64, purpose: Purpose) -> Frames<'_> {
        let image = self.images.image(index);
        let Some(mut rng) = draws(seed, purpose, index) else { return Frames::Levels(image.into()) };
        let step = Move::draw(&mut rng, self.flip, self.shift);
        let (height, width) = (self.images.height, self.images.width);
        let mut moved = vec![0; image.len()];
        for (from, to) in image.chunks_exact(height * width).zip(moved.chunks_exact_mut(height * width)) {
            for y in 0..height {
                for x in 0..width {
                    if let Some([new_x, new_y]) = step.apply([x, y], [width, height]) {
                        to[new_y * width + new_x] = from[y * width + x];
                    }
                }
            }
        }
        Frames::Levels(moved.into())
    }
}

/// Changes of event recordings for training; evaluation sees them as they are.
///
/// # Examples
/// ```
/// use spark_train::data::EventAugment;
///
/// let augment = EventAugment { shift: 2, drop: 0.1, ..EventAugment::default() };
/// assert_eq!((augment.flip, augment.jitter), (0.0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EventAugment {
    /// Probability of left and right being exchanged.
    pub flip: f32,
    /// The most pixels by which a recording moves in each direction; events that leave the sensor are lost.
    pub shift: u16,
    /// Probability of each event being lost.
    pub drop: f32,
    /// The most µs by which each event comes earlier or later; not before the start.
    pub jitter: u32,
}

impl EventAugment {
    /// The change of recording `index`; none where there is nothing to change.
    pub(super) fn of(&self, seed: u64, purpose: Purpose, index: usize) -> Option<EventChange> {
        if *self == Self::default() {
            return None;
        }
        let mut rng = draws(seed, purpose, index)?;
        let step = Move::draw(&mut rng, self.flip, self.shift);
        Some(EventChange { step, drop: self.drop, jitter: self.jitter, rng })
    }
}

/// The change of one recording, to be applied to its events in order.
#[derive(Debug)]
pub(super) struct EventChange {
    step: Move,
    drop: f32,
    jitter: u32,
    rng: ChaCha8Rng,
}

impl EventChange {
    /// An event as it becomes; none where it is lost.
    pub(super) fn apply(&mut self, event: Event, [width, height]: [u16; 2]) -> Option<Event> {
        // Both draws of every event, so that those of the others stay what they are.
        let (lost, jitter) = (self.rng.random::<f32>() < self.drop, i64::from(self.jitter));
        let shift = self.rng.random_range(-jitter..=jitter);
        let place = [event.x.into(), event.y.into()];
        let [x, y] = self.step.apply(place, [width.into(), height.into()])?;
        let time = (i64::from(event.time) + shift).clamp(0, i64::from(u32::MAX)) as u32;
        // Inside a sensor whose extents are of 16 bits.
        (!lost).then_some(Event { time, x: x as u16, y: y as u16, on: event.on })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> impl Iterator<Item = Event> {
        (0..2000u32).map(|i| Event {
            time: i * 10,
            x: (i % 34) as u16,
            y: (i / 34 % 34) as u16,
            on: i % 2 == 0,
        })
    }

    fn changed(augment: EventAugment, purpose: Purpose) -> Vec<Event> {
        let mut change = augment.of(5, purpose, 3).unwrap();
        events().filter_map(|event| change.apply(event, [34, 34])).collect()
    }

    #[test]
    fn a_change_depends_on_seed_epoch_and_sample_only() {
        let augment = EventAugment { flip: 0.5, shift: 3, drop: 0.2, jitter: 100 };
        let first = changed(augment, Purpose::Train(1));
        assert_eq!(first, changed(augment, Purpose::Train(1)));
        assert_ne!(first, changed(augment, Purpose::Train(2)));
        assert!(augment.of(5, Purpose::Evaluate, 3).is_none());
        assert!(EventAugment::default().of(5, Purpose::Train(1), 3).is_none());
    }

    #[test]
    fn each_change_does_what_it_says() {
        let all: Vec<Event> = events().collect();
        let flipped = changed(EventAugment { flip: 1.0, ..Default::default() }, Purpose::Train(0));
        assert!(flipped.iter().zip(&all).all(|(new, old)| new.x == 33 - old.x && new.y == old.y));
        let dropped = changed(EventAugment { drop: 0.25, ..Default::default() }, Purpose::Train(0));
        assert!((1400..1600).contains(&dropped.len()), "{}", dropped.len());
        let late = changed(EventAugment { jitter: 50, ..Default::default() }, Purpose::Train(0));
        assert_eq!(late.len(), all.len());
        assert!(late.iter().zip(&all).all(|(new, old)| new.time.abs_diff(old.time) <= 50));
        assert!(late.iter().zip(&all).any(|(new, old)| new.time != old.time));
        let moved = changed(EventAugment { shift: 4, ..Default::default() }, Purpose::Train(0));
        assert!(moved.len() < all.len() && moved.iter().all(|event| event.x < 34 && event.y < 34));
    }

    #[test]
    fn a_shifted_image_keeps_what_stays_inside() {
        let digits = Arc::new(crate::data::mnist10k().unwrap().test);
        let augmented = AugmentedImages { images: Arc::clone(&digits), flip: 0.0, shift: 3 };
        let Frames::Levels(first) = augmented.sample(0, 1, Purpose::Train(0)) else { panic!("levels") };
        let sum = |levels: &[u8]| levels.iter().map(|&level| u32::from(level)).sum::<u32>();
        assert!(first.len() == 784 && sum(&first) <= sum(digits.image(0)));
        let differ = (0..5)
            .any(|epoch| augmented.sample(0, 1, Purpose::Train(epoch)) != Frames::Levels(first.clone()));
        assert!(differ);
    }
}
