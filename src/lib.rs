//! temporary
pub mod platform;
