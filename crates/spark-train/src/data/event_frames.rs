//! Event recordings as frames.

use spark_io::events::Event;
use std::sync::Arc;

use super::{EventAugment, Frames, Recordings, Source};
use crate::Purpose;

/// How the events of a recording are shared out to frames.
///
/// # Examples
/// ```
/// use spark_train::data::Bins;
///
/// assert_eq!(Bins::Fixed { micros: 10_000, count: 30 }.count(), 30);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bins {
    /// So many bins of equal duration, from the start of the recording to its last event.
    Equal {
        /// Number of bins.
        count: usize,
    },
    /// Bins of a fixed duration; events after the last are left out.
    Fixed {
        /// Duration of a bin in µs, at least 1.
        micros: u32,
        /// Number of bins.
        count: usize,
    },
    /// So many bins of equally many events, in the order of the recording; the last ones have one fewer where
    /// the number does not divide.
    EqualEvents {
        /// Number of bins.
        count: usize,
    },
}

impl Bins {
    /// Number of frames.
    pub fn count(self) -> usize {
        match self {
            Self::Equal { count } | Self::Fixed { count, .. } | Self::EqualEvents { count } => count,
        }
    }
}

/// What an entry of a frame says.
///
/// # Examples
/// ```
/// use spark_io::events::{Event, Events};
/// use spark_train::Purpose;
/// use spark_train::data::{Bins, EventContent, EventFrames, Frames, Polarities, Recordings, Source};
/// use std::sync::Arc;
///
/// let mut recording = Events::new(1, 1);
/// for (time, on) in [(0, true), (1, true), (2, false)] {
///     recording.push(Event { time, x: 0, y: 0, on })?;
/// }
/// let mut recordings = Recordings::new(1, 1);
/// recordings.push(recording, 0)?;
/// let mut frames = EventFrames::new(Arc::new(recordings), Bins::Equal { count: 1 });
/// assert_eq!(frames.sample(0, 1, Purpose::Evaluate), Frames::Values(vec![1.0, 1.0].into()));
/// frames.content = EventContent::Count;
/// assert_eq!(frames.sample(0, 1, Purpose::Evaluate), Frames::Values(vec![2.0, 1.0].into()));
/// frames.polarities = Polarities::Merged;
/// assert_eq!(frames.sample(0, 1, Purpose::Evaluate), Frames::Values(vec![3.0].into()));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventContent {
    /// Number of events.
    Count,
    /// 1 where there was any event, else 0: spikes.
    Spikes,
}

/// What becomes of polarities; the example is that of [`EventContent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarities {
    /// Brighter first, then darker: `[2, height, width]`.
    Separate,
    /// Both alike: `[1, height, width]`.
    Merged,
}

/// Event recordings as frames `[polarities, height, width]` over time.
///
/// Show each frame for one step, as it is: `Encoding::Direct { gain: 1.0 }` with `steps: 1`. Frames are made in
/// the thread that prepares batches; only events are kept.
///
/// # Examples
/// ```
/// use spark_io::events::{Event, Events};
/// use spark_train::Purpose;
/// use spark_train::data::{Bins, EventFrames, Recordings, Source};
/// use std::sync::Arc;
///
/// let mut recording = Events::new(4, 2);
/// recording.push(Event { time: 0, x: 1, y: 0, on: true })?;
/// recording.push(Event { time: 99, x: 3, y: 1, on: false })?;
/// let mut recordings = Recordings::new(4, 2);
/// recordings.push(recording, 0)?;
/// let frames = EventFrames::new(Arc::new(recordings), Bins::Equal { count: 5 });
/// assert_eq!((frames.shape(), frames.frames()), (vec![2, 2, 4], 5));
/// assert_eq!(frames.sample(0, 1, Purpose::Evaluate).len(), 5 * 2 * 2 * 4);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventFrames {
    /// The recordings.
    pub recordings: Arc<Recordings>,
    /// How they are cut.
    pub bins: Bins,
    /// What an entry says.
    pub content: EventContent,
    /// What becomes of polarities.
    pub polarities: Polarities,
    /// So many columns and rows of the sensor become one; 1 keeps them.
    pub shrink: u16,
    /// Changes for training; none by default.
    pub augment: EventAugment,
}

impl EventFrames {
    /// Frames of spikes with separate polarities at the sensor's own resolution.
    pub fn new(recordings: Arc<Recordings>, bins: Bins) -> Self {
        Self {
            recordings,
            bins,
            content: EventContent::Spikes,
            polarities: Polarities::Separate,
            shrink: 1,
            augment: EventAugment::default(),
        }
    }

    /// The frames of recording `index` with the events as `events` gives them, whose number is `count`.
    fn frames_of(&self, events: impl Iterator<Item = Event>, count: usize, duration: u64) -> Vec<f32> {
        let [channels, height, width] = self.extents();
        let bins = self.bins.count();
        let mut frames = vec![0.0; bins * channels * height * width];
        for (index, event) in events.enumerate() {
            let bin = match self.bins {
                Bins::Equal { .. } => u64::from(event.time) * bins as u64 / duration.max(1),
                Bins::Fixed { micros, .. } => u64::from(event.time / micros.max(1)),
                Bins::EqualEvents { .. } => (index * bins / count.max(1)) as u64,
            };
            if bin >= bins as u64 {
                continue;
            }
            let channel = usize::from(channels == 2 && !event.on);
            let (x, y) = (event.x / self.shrink.max(1), event.y / self.shrink.max(1));
            let place = (bin as usize * channels + channel) * height + usize::from(y);
            let entry = &mut frames[place * width + usize::from(x)];
            *entry = match self.content {
                EventContent::Count => *entry + 1.0,
                EventContent::Spikes => 1.0,
            };
        }
        frames
    }

    /// Channels, rows and columns of a frame.
    fn extents(&self) -> [usize; 3] {
        let [width, height] = self.recordings.sensor();
        let shrunk = |extent: u16| usize::from(extent.div_ceil(self.shrink.max(1)));
        let channels = match self.polarities {
            Polarities::Separate => 2,
            Polarities::Merged => 1,
        };
        [channels, shrunk(height), shrunk(width)]
    }
}

impl Source for EventFrames {
    fn labels(&self) -> &[u8] {
        self.recordings.labels()
    }

    fn shape(&self) -> Vec<usize> {
        self.extents().to_vec()
    }

    fn frames(&self) -> usize {
        self.bins.count()
    }

    fn spikes(&self) -> bool {
        self.content == EventContent::Spikes
    }

    fn sample(&self, index: usize, seed: u64, purpose: Purpose) -> Frames<'_> {
        let recording = self.recordings.get(index);
        let frames = match self.augment.of(seed, purpose, index) {
            None => self.frames_of(recording.iter(), recording.len(), recording.duration()),
            Some(mut change) => {
                let sensor = self.recordings.sensor();
                let events: Vec<Event> =
                    recording.iter().filter_map(|event| change.apply(event, sensor)).collect();
                // The bins are those of the recording as it was: jitter does not stretch them.
                self.frames_of(events.iter().copied(), events.len(), recording.duration())
            }
        };
        Frames::Values(frames.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use spark_io::events::Events;

    fn recordings(events: &[(u32, u16, u16, bool)]) -> Arc<Recordings> {
        let mut recording = Events::new(6, 4);
        for &(time, x, y, on) in events {
            recording.push(Event { time, x, y, on }).unwrap();
        }
        let mut recordings = Recordings::new(6, 4);
        recordings.push(recording, 3).unwrap();
        Arc::new(recordings)
    }

    fn values(frames: &EventFrames) -> Vec<f32> {
        match frames.sample(0, 1, Purpose::Evaluate) {
            Frames::Values(values) => values.into_owned(),
            Frames::Levels(_) => panic!("frames of events are no levels"),
        }
    }

    #[test]
    fn events_fall_into_their_bin_channel_and_pixel() {
        let recordings =
            recordings(&[(0, 0, 0, true), (49, 5, 3, false), (50, 5, 3, false), (99, 5, 3, false)]);
        let mut frames = EventFrames::new(recordings, Bins::Equal { count: 2 });
        let set = |frames: &EventFrames| -> Vec<(usize, f32)> {
            values(frames).into_iter().enumerate().filter(|(_, value)| *value != 0.0).collect()
        };
        let size = 2 * 4 * 6;
        assert_eq!(set(&frames), [(0, 1.0), (size - 1, 1.0), (2 * size - 1, 1.0)]);
        frames.content = EventContent::Count;
        assert_eq!(set(&frames), [(0, 1.0), (size - 1, 1.0), (2 * size - 1, 2.0)]);
        frames.polarities = Polarities::Merged;
        frames.shrink = 4;
        assert_eq!((frames.shape(), set(&frames)), (vec![1, 1, 2], vec![(0, 1.0), (1, 1.0), (3, 2.0)]));
        frames.bins = Bins::EqualEvents { count: 4 };
        assert_eq!(set(&frames), [(0, 1.0), (3, 1.0), (5, 1.0), (7, 1.0)]);
        frames.bins = Bins::Fixed { micros: 30, count: 2 };
        assert_eq!(set(&frames), [(0, 1.0), (3, 2.0)]);
    }

    proptest! {
        #[test]
        fn no_event_is_lost_or_made(
            events in prop::collection::vec((0u32..100_000, 0u16..6, 0u16..4, any::<bool>()), 0..50),
            count in 1usize..8,
            by_events in any::<bool>(),
            shrink in 1u16..4,
        ) {
            let bins = if by_events { Bins::EqualEvents { count } } else { Bins::Equal { count } };
            let mut frames = EventFrames::new(recordings(&events), bins);
            frames.content = EventContent::Count;
            frames.shrink = shrink;
            prop_assert_eq!(values(&frames).iter().sum::<f32>(), events.len() as f32);
        }
    }
}
