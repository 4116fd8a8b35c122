//! The graph editor, in which brains will be drawn.
//!
//! Nothing is public yet.
