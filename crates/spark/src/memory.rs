//! Memory for training on the CPU.
//!
//! The system's allocator hands large tensors back to the kernel after every operation and gets fresh pages
//! for the next, which have to be cleared first; training steps then take up to twice as long. A program asks
//! for another one with two lines:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: spark::memory::Allocator = spark::memory::Allocator;
//!
//! fn main() {
//!     spark::memory::keep_pages();
//!     // …
//! }
//! ```

/// An allocator that gives the memory of one tensor to the next: Leijen, Zorn & de Moura, *Mimalloc: free
/// list sharding in action* (2019).
pub use mimalloc::MiMalloc as Allocator;

/// How long mimalloc waits before it hands unused pages back, among its options (`mi_option_t` in
/// `mimalloc.h`).
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Lets [`Allocator`] keep every page until the program ends: a training step needs the same ones again.
///
/// Does nothing for a program with another allocator.
pub fn keep_pages() {
    // SAFETY: the option exists in the version that is linked, takes any number, and is read atomically.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of the option is not exported: its default tells whether it is the right one.
    #[test]
    fn the_option_is_the_delay() {
        // SAFETY: reads an option that exists.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1000, "milliseconds");
        keep_pages();
        assert_eq!(delay(), -1);
    }
}
