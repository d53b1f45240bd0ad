//! temporary
pub mod platform;
pub mod repo;
