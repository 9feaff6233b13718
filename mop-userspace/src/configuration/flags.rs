//! Which flags were given: only those win over the configuration.

use std::collections::BTreeSet;

use clap::{ArgMatches, parser::ValueSource};

use super::{ObserveConfiguration, QualityConfiguration};
use crate::{cli::ObserveArguments, security::SecurityConfiguration};

/// Names of the flags that stand on the command line, or come from an environment variable of
/// their own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(BTreeSet<String>);

impl Given {
    /// The flags of a command that are not at their defaults.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let is_given = |id: &&str| {
            matches!(
                matches.value_source(id),
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            )
        };
        Self(matches.ids().map(clap::Id::as_str).filter(is_given).map(str::to_owned).collect())
    }

    fn has(&self, flag: &str) -> bool {
        self.0.contains(flag)
    }
}

impl ObserveArguments {
    /// These arguments over a configuration.
    pub(crate) fn over(
        &mut self,
        observe: &ObserveConfiguration,
        quality: &QualityConfiguration,
        security: &mut SecurityConfiguration,
    ) {
        let ObserveConfiguration { ring_mib, attach, workers, output, path_prefix, all } = observe;
        let given = std::mem::take(&mut self.given);
        let otherwise = |flag: &str| !given.has(flag);
        if otherwise(RING_MIB) {
            self.kernel.ring_mib = *ring_mib;
        }
        if otherwise(ATTACH) {
            self.kernel.attach = *attach;
        }
        if otherwise(WORKERS) {
            self.workers = *workers;
        }
        if otherwise(OUTPUT) {
            self.report.output = *output;
        }
        // One question, two flags: either of them answers it.
        if otherwise(PATH_PREFIX) && otherwise(ALL) {
            self.report.path_prefix.clone_from(path_prefix);
            self.report.all = *all;
        }
        let QualityConfiguration { enabled, window, report_clean, rules, contracts, without_rule } =
            quality;
        if otherwise(NO_QUALITY) {
            self.quality.no_quality = !enabled;
        }
        if otherwise(WINDOW) {
            self.quality.window = *window;
        }
        if otherwise(REPORT_CLEAN) {
            self.quality.report_clean = *report_clean;
        }
        let from = &mut self.quality.rules;
        if otherwise(RULES) {
            from.rules.clone_from(rules);
        }
        if otherwise(CONTRACTS) {
            from.contracts.clone_from(contracts);
        }
        if otherwise(WITHOUT_RULE) {
            from.without_rule.clone_from(without_rule);
        }
        if otherwise(DETECTIONS) {
            from.detections.clone_from(&security.detections);
        }
        security.over(&self.security);
        self.given = given;
    }
}

/// Names of the flags as the command line has them; a test looks each of them up there.
const RING_MIB: &str = "ring_mib";
const ATTACH: &str = "attach";
const WORKERS: &str = "workers";
const OUTPUT: &str = "output";
const PATH_PREFIX: &str = "path_prefix";
const ALL: &str = "all";
const NO_QUALITY: &str = "no_quality";
const WINDOW: &str = "window";
const REPORT_CLEAN: &str = "report_clean";
const RULES: &str = "rules";
const CONTRACTS: &str = "contracts";
const WITHOUT_RULE: &str = "without_rule";
const DETECTIONS: &str = "detections";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::{Arguments, Command};

    #[test]
    fn every_flag_of_the_configuration_is_one() {
        let command = Arguments::command();
        let observe = command.find_subcommand("observe").expect("the command");
        let known: Vec<&str> = observe.get_arguments().map(|flag| flag.get_id().as_str()).collect();
        for flag in [
            RING_MIB,
            ATTACH,
            WORKERS,
            OUTPUT,
            PATH_PREFIX,
            ALL,
            NO_QUALITY,
            WINDOW,
            REPORT_CLEAN,
            RULES,
            CONTRACTS,
            WITHOUT_RULE,
            DETECTIONS,
        ] {
            assert!(known.contains(&flag), "{flag}");
        }
    }

    #[test]
    fn without_a_configuration_the_defaults_of_the_flags_hold() {
        let before = observe(&["mop", "observe"]);
        let mut after = observe(&["mop", "observe"]);
        let mut security = SecurityConfiguration::default();
        after.over(
            &ObserveConfiguration::default(),
            &QualityConfiguration::default(),
            &mut security,
        );
        assert_eq!(format!("{before:?}"), format!("{after:?}"));
    }

    #[test]
    fn flags_win_over_the_configuration() {
        let configured = ObserveConfiguration {
            ring_mib: 2,
            workers: 3,
            all: true,
            ..ObserveConfiguration::default()
        };
        let quality = QualityConfiguration { enabled: false, ..QualityConfiguration::default() };
        let mut arguments =
            observe(&["mop", "observe", "--workers", "1", "--path-prefix", "/here/"]);
        arguments.over(&configured, &quality, &mut SecurityConfiguration::default());
        assert_eq!(arguments.kernel.ring_mib, 2);
        assert_eq!(arguments.workers, 1, "as given, although it is the default");
        assert!(!arguments.report.all, "a prefix was asked for");
        assert_eq!(arguments.report.path_prefix, ["/here/"]);
        assert!(arguments.quality.no_quality);
    }

    fn observe(words: &[&str]) -> ObserveArguments {
        match Arguments::read_from(words).expect("valid").command {
            Command::Observe(arguments) => arguments,
            other => panic!("another command: {other:?}"),
        }
    }
}
