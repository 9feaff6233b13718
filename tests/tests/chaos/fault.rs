//! What is broken, and in which company.

use crate::random::Random;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    AgentFrozen,
    AgentKilled,
    AgentTerminated,
    BitFlipped,
    BrokerKilled,
    BrokerStopped,
    CertificateRotated,
    ClockJumped,
    ConnectionReset,
    DatabaseRestarted,
    DiskFull,
    FolderReadOnly,
    HubKilled,
    MemoryAlarm,
    NetworkDown,
    NetworkHalfOpen,
    NetworkLimited,
    NetworkSlow,
    NetworkSlowClose,
    PasswordChanged,
    QueueDeleted,
    QueueFull,
    SecondAgent,
    TailCut,
    Unroutable,
}

impl Fault {
    /// Its name in verdicts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AgentFrozen => "agent-frozen",
            Self::AgentKilled => "agent-killed",
            Self::AgentTerminated => "agent-terminated",
            Self::BitFlipped => "bit-flipped",
            Self::BrokerKilled => "broker-killed",
            Self::BrokerStopped => "broker-stopped",
            Self::CertificateRotated => "certificate-rotated",
            Self::ClockJumped => "clock-jumped",
            Self::ConnectionReset => "connection-reset",
            Self::DatabaseRestarted => "database-restarted",
            Self::DiskFull => "disk-full",
            Self::FolderReadOnly => "folder-read-only",
            Self::HubKilled => "hub-killed",
            Self::MemoryAlarm => "memory-alarm",
            Self::NetworkDown => "network-down",
            Self::NetworkHalfOpen => "network-half-open",
            Self::NetworkLimited => "network-limited",
            Self::NetworkSlow => "network-slow",
            Self::NetworkSlowClose => "network-slow-close",
            Self::PasswordChanged => "password-changed",
            Self::QueueDeleted => "queue-deleted",
            Self::QueueFull => "queue-full",
            Self::SecondAgent => "second-agent",
            Self::TailCut => "tail-cut",
            Self::Unroutable => "unroutable",
        }
    }

    /// Whether it is a kill, of which the long set does a given number.
    pub(crate) fn is_kill(self) -> bool {
        matches!(self, Self::AgentKilled | Self::BrokerKilled | Self::HubKilled)
    }
}

/// Faults that are tried together.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Which faults, and how often in comparison.
    pub(crate) faults: &'static [(Fault, usize)],
    /// How many of them in one round of the short set and of the long one.
    pub(crate) short: usize,
    pub(crate) long: usize,
    pub(crate) needs: Needs,
}

/// What a scenario needs besides agent and broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A clock that can be set for one process.
    Clock,
    /// A hub and its database.
    Hub,
    /// A file system of its own for the outbox.
    Mount,
    Nothing,
    /// `mop observe` in place of `mop forward`, and real traffic.
    Observer,
    /// A connection to the broker by TLS.
    Tls,
}

/// All scenarios, in the order in which the sets go through them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "kills",
        faults: &[(Fault::AgentKilled, 14), (Fault::BrokerKilled, 1)],
        short: 6,
        long: 30,
        needs: Needs::Nothing,
    },
    Scenario {
        name: "broker",
        faults: &[
            (Fault::AgentKilled, 2),
            (Fault::BrokerKilled, 2),
            (Fault::BrokerStopped, 1),
            (Fault::MemoryAlarm, 1),
        ],
        short: 2,
        long: 10,
        needs: Needs::Nothing,
    },
    Scenario {
        name: "network",
        faults: &[
            (Fault::AgentKilled, 3),
            (Fault::ConnectionReset, 2),
            (Fault::NetworkDown, 1),
            (Fault::NetworkHalfOpen, 1),
            (Fault::NetworkLimited, 1),
            (Fault::NetworkSlow, 2),
            (Fault::NetworkSlowClose, 1),
        ],
        short: 6,
        long: 25,
        needs: Needs::Nothing,
    },
    Scenario {
        name: "signals",
        faults: &[
            (Fault::AgentFrozen, 2),
            (Fault::AgentKilled, 2),
            (Fault::AgentTerminated, 3),
            (Fault::SecondAgent, 1),
        ],
        short: 5,
        long: 20,
        needs: Needs::Nothing,
    },
    Scenario {
        name: "refusals",
        faults: &[
            (Fault::AgentKilled, 1),
            (Fault::QueueDeleted, 1),
            (Fault::QueueFull, 1),
            (Fault::Unroutable, 1),
        ],
        short: 3,
        long: 8,
        needs: Needs::Nothing,
    },
    Scenario {
        name: "damage",
        faults: &[(Fault::BitFlipped, 1), (Fault::TailCut, 1)],
        short: 2,
        long: 10,
        needs: Needs::Nothing,
    },
    Scenario {
        name: "disk",
        faults: &[(Fault::AgentKilled, 2), (Fault::DiskFull, 2), (Fault::FolderReadOnly, 1)],
        short: 4,
        long: 12,
        needs: Needs::Mount,
    },
    Scenario {
        name: "clock",
        faults: &[(Fault::AgentKilled, 1), (Fault::ClockJumped, 3)],
        short: 4,
        long: 12,
        needs: Needs::Clock,
    },
    Scenario {
        name: "credentials",
        faults: &[
            (Fault::AgentKilled, 1),
            (Fault::CertificateRotated, 1),
            (Fault::PasswordChanged, 1),
        ],
        short: 2,
        long: 4,
        needs: Needs::Tls,
    },
    Scenario {
        name: "hub",
        faults: &[
            (Fault::AgentKilled, 4),
            (Fault::BrokerKilled, 1),
            (Fault::DatabaseRestarted, 1),
            (Fault::HubKilled, 4),
        ],
        short: 4,
        long: 15,
        needs: Needs::Hub,
    },
    Scenario {
        name: "observer",
        faults: &[(Fault::AgentKilled, 1)],
        short: 1,
        long: 3,
        needs: Needs::Observer,
    },
];

/// The faults of one round. The first ones are one of each kind, in random order, as far as there is
/// room; the rest is chosen by weight.
pub(crate) fn plan(scenario: &Scenario, count: usize, random: &mut Random) -> Vec<Fault> {
    let mut each: Vec<Fault> = scenario.faults.iter().map(|(fault, _)| *fault).collect();
    // Fisher and Yates.
    for last in (1..each.len()).rev() {
        each.swap(last, random.below(last + 1));
    }
    each.truncate(count);
    while each.len() < count {
        let place = random.below(each.len() + 1);
        each.insert(place, random.weighted(scenario.faults));
    }
    each
}

#[test]
fn a_plan_follows_from_its_seed_and_begins_with_each_kind_of_fault() {
    for scenario in SCENARIOS {
        let kinds = scenario.faults.len();
        for seed in 0..20 {
            let first = plan(scenario, scenario.long, &mut Random::new(seed));
            let again = plan(scenario, scenario.long, &mut Random::new(seed));
            assert_eq!(first, again, "{} {seed}", scenario.name);
            assert_eq!(first.len(), scenario.long);
            let planned = |fault| first.contains(&fault);
            let there = scenario.faults.iter().filter(|(fault, _)| planned(*fault)).count();
            assert_eq!(there, kinds.min(scenario.long), "{} {seed}: {first:?}", scenario.name);
        }
    }
}
