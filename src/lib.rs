//! temporary
pub mod platform;
pub mod store;
