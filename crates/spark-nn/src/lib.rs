//! Spiking layers and networks: trainable, batched, functional.
//!
//! A sequence is `[time, batch, units]`, one step `[batch, units]`; units of higher rank, such as the
//! channels, rows and columns of an image, are flattened row-major and their shape is kept in the
//! layer. See [`layers`] for what there is and [`layers::Network`] for putting it together.

pub mod components;
mod config;
pub mod controllers;
pub mod interfaces;
pub mod layers;
pub mod neurons;

pub use layers::{Stateful, Temporal};
