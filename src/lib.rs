//! temporary
pub mod lock;
pub mod platform;
pub mod store;
