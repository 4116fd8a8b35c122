//! What is to be written, between those who record and the thread that writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// A queue whose contents take a bounded amount of memory: who adds to a full one waits.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    /// There is something for the writer at once.
    filled: Condvar,
    /// There is room.
    drained: Condvar,
    limit: usize,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    urgent: bool,
    closed: bool,
}

/// Items that the writer does not hurry for, at most.
const MANY: usize = 4096;

impl<T> Queue<T> {
    /// A queue for items of `limit` bytes in all, or for one item that is larger.
    pub fn new(limit: usize) -> Self {
        let state = State { items: VecDeque::new(), bytes: 0, urgent: false, closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), drained: Condvar::new(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Adds an item of `bytes` bytes and waits for room if need be; an `urgent` one wakes the writer. An item for a
    /// closed queue is dropped.
    pub fn push(&self, item: T, bytes: usize, urgent: bool) {
        let mut state = self.lock();
        while state.bytes > 0 && state.bytes + bytes > self.limit && !state.closed {
            state.urgent = true;
            self.filled.notify_one();
            state = self.drained.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        if state.closed {
            return;
        }
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        if urgent || state.items.len() == MANY {
            state.urgent = true;
            self.filled.notify_one();
        }
    }

    /// The next item, after a wait of `patience` that ends early when one is urgent.
    pub fn pop(&self, patience: Duration) -> Option<T> {
        let mut state = self.lock();
        if !state.urgent && !state.closed && !patience.is_zero() {
            let waited =
                self.filled.wait_timeout_while(state, patience, |state| !state.urgent && !state.closed);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        let Some((item, bytes)) = state.items.pop_front() else {
            state.urgent = false;
            return None;
        };
        state.bytes -= bytes;
        self.drained.notify_all();
        Some(item)
    }

    /// No more items are taken, and nobody waits.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// The same, and drops what nobody will take any more.
    pub fn abandon(&self) {
        self.close();
        self.lock().items.clear();
    }

    /// Whether it is closed and empty.
    pub fn is_finished(&self) -> bool {
        let state = self.lock();
        state.closed && state.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn who_adds_to_a_full_queue_waits() {
        let queue = Queue::new(100);
        let taken = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for item in 0..50 {
                    queue.push(item, 40, false);
                    // Two fit, and one may just have been taken.
                    assert!(item < taken.load(Ordering::SeqCst) + 3, "{item}");
                }
                queue.push(50, 1000, false);
                queue.close();
                queue.push(51, 1, true);
            });
            let mut expected = 0;
            while !queue.is_finished() {
                taken.store(expected, Ordering::SeqCst);
                if let Some(item) = queue.pop(Duration::from_millis(1)) {
                    assert_eq!(item, expected);
                    expected += 1;
                }
            }
            assert_eq!(expected, 51);
        });
    }

    #[test]
    fn nobody_waits_for_a_writer_that_is_gone() {
        let queue = Queue::new(10);
        queue.push(1, 10, false);
        std::thread::scope(|scope| {
            scope.spawn(|| queue.push(2, 10, false));
            std::thread::sleep(Duration::from_millis(20));
            queue.abandon();
        });
        assert!(queue.is_finished());
    }
}
