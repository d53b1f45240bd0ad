//! temporary
pub mod doctor;
pub mod lock;
pub mod platform;
pub mod project;
pub mod repo;
pub mod store;
pub mod workers;
