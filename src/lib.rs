//! temporary
pub mod context;
pub mod platform;
pub mod store;
