//! The switch: a file that says that nothing is to be observed.

use std::path::{Path, PathBuf};

/// Where the switch is.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    /// `None`: there is none.
    path: Option<PathBuf>,
}

impl Switch {
    /// The switch at this path; an empty one is none.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: (!path.as_os_str().is_empty()).then(|| path.to_owned()) }
    }

    /// Whether nothing is to be attached now. What cannot be looked at, such as a folder that only root
    /// may search, is not there.
    pub(crate) fn is_off(&self) -> bool {
        self.path.as_deref().is_some_and(Path::exists)
    }

    /// For messages.
    pub(crate) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }
}
