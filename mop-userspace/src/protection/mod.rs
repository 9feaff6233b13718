//! Self-protection: what keeps this observer from being a burden to what it observes.
//!
//! - **Switch**: while a file exists, nothing is attached to the node. Prober and core look for it every
//!   second, each by itself, so that one that hangs cannot keep the other from obeying.
//! - **CPU budget**: when this process and its kernel programs together take more than their share of the
//!   node, whole calls are left out by class, regulated ones last ([`Class`]), and each is counted. A body
//!   is never shortened. When that does not help, everything is taken off for a while.
//! - **Courtesy**: where it has a CPU group for itself, the observer gives way to all other work of the node
//!   ([`give_way`]).
//! - **Programs**: what each kernel program costs is measured one second in thirty.

mod budget;
mod class;
mod configuration;
mod courtesy;
mod guard;
mod load;
mod switch;

pub(crate) use self::{
    class::Class,
    configuration::ProtectionConfiguration,
    courtesy::{Pace, give_way},
    guard::{Guard, Running},
    load::{Chores, Loads, Told},
    switch::Switch,
};
