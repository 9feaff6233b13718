//! The security profile, ready to be checked.

use std::sync::Arc;

use mop_insight::{
    data::call::ExtractorSettings,
    security::profile::{
        Checks, Operations, Permissions, Profile, ProfileSettings, ReaderSettings,
    },
};

use super::SecurityConfiguration;
use crate::failure::Failure;

/// What workers and the thread of the module work with.
pub(super) struct ProfileParts {
    pub(super) reader: Arc<ReaderSettings>,
    pub(super) checks: Arc<Checks>,
    pub(super) profile: Profile,
}

impl ProfileParts {
    /// By the published lists; none when the profile is not checked.
    pub(super) fn of(
        configuration: &SecurityConfiguration,
        calls: &ExtractorSettings,
    ) -> Result<Option<Self>, Failure> {
        if !configuration.profile {
            return Ok(None);
        }
        let checks = Arc::new(Checks::published().map_err(Failure::runtime)?);
        let operations = Arc::new(Operations::published().map_err(Failure::runtime)?);
        let permissions = Arc::new(Permissions::published().map_err(Failure::runtime)?);
        let key = calls.key.clone();
        let settings = ProfileSettings::new(key.clone(), operations, Arc::clone(&permissions));
        let profile = Profile::new(Arc::clone(&checks), settings);
        let reader = Arc::new(ReaderSettings {
            key,
            forwarded: calls.forwarded.clone(),
            audiences: configuration.audiences.clone(),
            permissions,
        });
        Ok(Some(Self { reader, checks, profile }))
    }
}
