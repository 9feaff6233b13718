//! Ways of decoding, and sets of them.

use super::decode::{
    ascii, base64, escape, html, null,
    path::{self, Parameters},
    percent::{self, Plus},
    script, squash,
};

/// One way of decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Lax UTF-8 and wide forms folded to ASCII.
    Ascii,
    /// Base64.
    Base64,
    /// Escapes that name a code.
    Escape,
    /// Character references.
    Html,
    /// Null bytes left out.
    Null,
    /// Dot segments resolved.
    Path,
    /// Percent-encoding.
    Percent,
    /// Backslash escapes of scripts and shells.
    Script,
    /// Comments, white space and case folded.
    Squash,
}

/// A set of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Steps(u16);

/// How a value is written where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A field of a form or a query, where `+` is a space.
    Form,
    /// A path.
    Path,
    /// Anything else.
    Plain,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 9] = [
        Self::Ascii,
        Self::Base64,
        Self::Escape,
        Self::Html,
        Self::Null,
        Self::Path,
        Self::Percent,
        Self::Script,
        Self::Squash,
    ];

    /// Appends what it makes of these bytes, and says whether that differs.
    pub(super) fn run(self, input: &[u8], kind: Kind, output: &mut Vec<u8>) -> bool {
        match (self, kind) {
            (Self::Ascii, _) => ascii::decode(input, output),
            (Self::Base64, _) => base64::decode(input, output),
            (Self::Escape, _) => escape::decode(input, output),
            (Self::Html, _) => html::decode(input, output),
            (Self::Null, _) => null::decode(input, output),
            (Self::Path, Kind::Path) => path::normalise(input, Parameters::Removed, output),
            (Self::Path, Kind::Form | Kind::Plain) => {
                path::normalise(input, Parameters::Kept, output)
            }
            (Self::Percent, Kind::Form) => percent::decode(input, Plus::Space, output),
            (Self::Percent, Kind::Path | Kind::Plain) => percent::decode(input, Plus::Plus, output),
            (Self::Script, _) => script::decode(input, output),
            (Self::Squash, _) => squash::decode(input, output),
        }
    }
}

impl Steps {
    /// No step: the value as it was sent.
    pub const NONE: Self = Self(0);

    /// Whether a step was taken.
    #[must_use]
    pub fn contains(self, step: Step) -> bool {
        self.0 & (1 << step as u16) != 0
    }

    /// Whether the value is as it was sent.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether no other step than this one was taken.
    #[must_use]
    pub fn is_within(self, step: Step) -> bool {
        self.0 & !(1 << step as u16) == 0
    }

    pub(super) fn with(self, step: Step) -> Self {
        Self(self.0 | 1 << step as u16)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
