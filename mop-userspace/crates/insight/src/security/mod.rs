//! What observed calls mean to security: whether rules match them, alone and together.

pub mod rules;
