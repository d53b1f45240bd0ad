//! temporary
pub mod apply;
pub mod platform;
pub mod store;
