//! Where payloads wait, and who is the last to read them.

use spark_core::ports::intern;

use super::controller::Part;
use super::wiring::{self, Order, Wired};

/// Where a payload is read.
#[derive(Clone, Debug)]
pub enum Read {
    /// An input of the controller.
    Call(usize),
    /// A slot; the last reader takes what is there, so that whoever made it is alone with its tensors.
    Slot { slot: usize, take: bool },
    /// A property of a node; taken where the effect of the same node writes it back after the step.
    Property { node: usize, name: &'static str, take: bool },
    /// The inhibition mask.
    Mask,
}

/// Something that writes a property after a step.
pub struct Effect {
    /// The node.
    pub node: usize,
    /// Its property.
    pub property: &'static str,
    /// What it becomes.
    pub read: Read,
}

/// Where every output of every module has its slot, and who reads it last.
pub struct Layout {
    /// The first slot of each module, as they are listed.
    pub first: Vec<usize>,
    /// Number of slots.
    pub slots: usize,
    /// When each module runs.
    position: Vec<usize>,
}

impl Layout {
    pub fn new(parts: &[Part], wired: &Wired) -> Self {
        let mut slots = 0;
        let first = parts.iter().map(|part| {
            slots += part.outputs.len();
            slots - part.outputs.len()
        });
        let first = first.collect();
        let mut position = vec![0; parts.len()];
        for (at, place) in wired.order.iter().enumerate() {
            position[*place] = at;
        }
        Self { first, slots, position }
    }

    fn slot(&self, parts: &[Part], module: usize, port: &str) -> usize {
        let place = parts[module].outputs.iter().position(|(name, _)| name == port);
        self.first[module] + place.expect("wiring is checked")
    }

    /// Every read of a slot by a module: the module that makes it, the reader, and its place among the reads
    /// of that reader.
    fn readers(&self, parts: &[Part], slot: usize) -> Vec<(usize, usize)> {
        let mut readers = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            for (count, source) in part.feeds.iter().flat_map(|feed| &feed.sources).enumerate() {
                if let wiring::Source::Port { module, port } = source
                    && self.slot(parts, *module, port) == slot
                {
                    readers.push((place, count));
                }
            }
        }
        readers
    }

    /// Whether a reader sees what its source gave one step before.
    fn late(&self, wired: &Wired, maker: usize, reader: usize) -> bool {
        wired.when == Order::Latency || self.position[reader] <= self.position[maker]
    }

    /// Whether a slot is an output of the controller.
    fn given(&self, parts: &[Part], wired: &Wired, slot: usize) -> bool {
        wired.outputs.iter().any(|output| self.slot(parts, output.module, &output.port) == slot)
    }

    /// Whether an effect reads a slot.
    fn written_from(&self, parts: &[Part], slot: usize) -> bool {
        parts.iter().flat_map(|part| &part.effects).any(|effect| {
            matches!(effect.sources.as_slice(), [wiring::Source::Port { module, port }]
                if self.slot(parts, *module, port) == slot)
        })
    }

    /// Whether a read is the last one before the slot is written again.
    fn takes(&self, parts: &[Part], wired: &Wired, maker: usize, slot: usize, read: (usize, usize)) -> bool {
        let key = |(place, count): &(usize, usize)| (self.position[*place], *count);
        let readers = self.readers(parts, slot);
        let late = readers.iter().filter(|(reader, _)| self.late(wired, maker, *reader));
        if let Some(last) = late.max_by_key(|reader| key(reader)) {
            return *last == read;
        }
        let others = self.given(parts, wired, slot) || self.written_from(parts, slot);
        !others && readers.iter().max_by_key(|reader| key(reader)) == Some(&read)
    }

    /// Which slots hold something between two steps that the next one reads: all of a brain but those that an
    /// effect empties, and of a neuron those that are read before they are written.
    pub fn waiting(&self, parts: &[Part], wired: &Wired, effects: &[Effect]) -> Vec<bool> {
        let mut waiting = vec![wired.when == Order::Latency; self.slots];
        for (maker, part) in parts.iter().enumerate() {
            let slots = self.first[maker]..self.first[maker] + part.outputs.len();
            for slot in slots.filter(|_| wired.when == Order::Dependencies) {
                let readers = self.readers(parts, slot);
                waiting[slot] = readers.iter().any(|(reader, _)| self.late(wired, maker, *reader));
            }
        }
        for effect in effects {
            if let Read::Slot { slot, take: true } = effect.read {
                waiting[slot] = false;
            }
        }
        waiting
    }

    pub fn reads(&self, place: usize, parts: &[Part], wired: &Wired) -> Vec<(&'static str, Vec<Read>)> {
        let mut count = 0;
        let mut read = |source: &wiring::Source| {
            let at = count;
            count += 1;
            match source {
                wiring::Source::Call(place) => Read::Call(*place),
                wiring::Source::Mask => Read::Mask,
                wiring::Source::Port { module, port } => {
                    let slot = self.slot(parts, *module, port);
                    Read::Slot { slot, take: self.takes(parts, wired, *module, slot, (place, at)) }
                }
                wiring::Source::Property { module, name } => {
                    let take = self.takes_property(place, *module, name, parts);
                    Read::Property { node: self.position[*module], name: intern(name), take }
                }
            }
        };
        let feeds = parts[place].feeds.iter();
        feeds.map(|feed| (intern(&feed.port), feed.sources.iter().map(&mut read).collect())).collect()
    }

    /// Whether a module may take a property out: it is the only one that reads it, its owner has run, and an
    /// effect of this module writes it back.
    fn takes_property(&self, reader: usize, owner: usize, name: &str, parts: &[Part]) -> bool {
        let sources = parts.iter().flat_map(|part| part.feeds.iter().chain(&part.effects));
        let reads = sources.flat_map(|feed| &feed.sources).filter(|source| {
            matches!(source, wiring::Source::Property { module, name: read } if *module == owner && read == name)
        });
        let back = parts[owner].effects.iter().filter(|effect| effect.port == name).any(|effect| {
            matches!(effect.sources.as_slice(), [wiring::Source::Port { module, .. }] if *module == reader)
        });
        back && reads.count() == 1 && self.position[owner] < self.position[reader]
    }

    pub fn effects(&self, parts: &[Part], wired: &Wired) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (owner, part) in parts.iter().enumerate() {
            for effect in &part.effects {
                let read = match effect.sources.as_slice() {
                    [wiring::Source::Call(place)] => Read::Call(*place),
                    [wiring::Source::Mask] => Read::Mask,
                    [wiring::Source::Port { module, port }] => {
                        let slot = self.slot(parts, *module, port);
                        let readers = self.readers(parts, slot);
                        let read_later = readers.iter().any(|(reader, _)| self.late(wired, *module, *reader));
                        let given = self.given(parts, wired, slot);
                        Read::Slot { slot, take: !(given || read_later) }
                    }
                    [wiring::Source::Property { module, name }] => {
                        Read::Property { node: self.position[*module], name: intern(name), take: false }
                    }
                    _ => continue,
                };
                effects.push(Effect { node: self.position[owner], property: intern(&effect.port), read });
            }
        }
        effects
    }

    /// Outputs are few and cheap to copy, and so their slots stay readable.
    pub fn outputs(&self, parts: &[Part], wired: &Wired) -> Vec<(&'static str, Read)> {
        let read = |output: &wiring::Output| {
            let slot = self.slot(parts, output.module, &output.port);
            (intern(&output.name), Read::Slot { slot, take: false })
        };
        wired.outputs.iter().map(read).collect()
    }
}
