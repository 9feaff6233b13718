//! What observed calls mean to security: findings, threat intelligence, and events for MISP.

pub mod finding;
pub mod intelligence;
pub mod misp;
pub mod uuid;
