//! How a command fails: one sentence on stderr, and an exit code that says whose fault it is.

use std::{fmt::Display, process::ExitCode};

use mop_probe::{AttachMethod, ProbeError, environment};

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: FailureKind,
    message: String,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureKind {
    /// The command line asks for something that makes no sense: exit code 2, as clap's own.
    Usage,
    /// The machine or the configuration does not allow it: exit code 78, `EX_CONFIG` of sysexits.h.
    Configuration,
    /// It went wrong while running: exit code 1.
    Runtime,
}

impl Failure {
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { kind: FailureKind::Usage, message: message.to_string() }
    }

    pub(crate) fn configuration(message: impl Display) -> Self {
        Self { kind: FailureKind::Configuration, message: message.to_string() }
    }

    pub(crate) fn runtime(message: impl Display) -> Self {
        Self { kind: FailureKind::Runtime, message: message.to_string() }
    }

    /// Says what the failure is about, in front of what it says.
    pub(crate) fn in_context(self, context: &str) -> Self {
        let Self { kind, message } = self;
        Self { kind, message: format!("{context}: {message}") }
    }

    /// Exit code and message, to be told by another process.
    pub(crate) fn into_parts(self) -> (u8, String) {
        let Self { kind, message } = self;
        (kind.code(), message)
    }

    /// What another process failed with.
    pub(crate) fn from_parts(code: u8, message: String) -> Self {
        let kind = match code {
            2 => FailureKind::Usage,
            78 => FailureKind::Configuration,
            _ => FailureKind::Runtime,
        };
        Self { kind, message }
    }

    /// Says what happened and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let Self { kind, message } = self;
        eprintln!("mop: {message}");
        ExitCode::from(kind.code())
    }
}

impl FailureKind {
    fn code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Configuration => 78,
            Self::Runtime => 1,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Self {
        match &error {
            ProbeError::NoKernelPrograms
            | ProbeError::OldKernel { .. }
            | ProbeError::NoBtf { .. }
            | ProbeError::Btf(_)
            | ProbeError::MissingField { .. }
            | ProbeError::NoUprobeMulti { .. }
            | ProbeError::PidNamespace => Self::configuration(error),
            ProbeError::Load { .. } | ProbeError::Object { .. } | ProbeError::Map { .. } => {
                if environment::lockdown().as_deref() == Some("confidentiality") {
                    Self::configuration(
                        "the kernel is in lockdown (confidentiality), in which no program may read its \
                         memory; boot with lockdown=integrity or without lockdown",
                    )
                } else {
                    // What every way to attach needs: it could not be found out which one this is.
                    let missing = environment::missing_capabilities(AttachMethod::UprobeMulti);
                    if missing.is_empty() {
                        let hint = "`mop doctor` says what this kernel allows";
                        return Self::runtime(format!("{error}; {hint}"));
                    }
                    Self::configuration(format!(
                        "observing needs rights that this process does not have ({}); run it as root",
                        missing.join(", ")
                    ))
                }
            }
            ProbeError::Read { .. }
            | ProbeError::Elf { .. }
            | ProbeError::Go { .. }
            | ProbeError::Attach { .. }
            | ProbeError::LeftAlone { .. }
            | ProbeError::Unnamed { .. }
            | ProbeError::Statistics { .. } => Self::runtime(error),
        }
    }
}
