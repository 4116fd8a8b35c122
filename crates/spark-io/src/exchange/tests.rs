//! Networks there and back.
