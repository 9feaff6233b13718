//! The modules of an observer: data, security and quality, each with a thread of its own.

use std::sync::Arc;

use jiff::Timestamp;
use mop_insight::data::call::{Extractor, ExtractorSettings};

use super::{LIVE_CLEAN, inspector, setting::Setting};
use crate::{
    clock::Clock,
    configuration::Configuration,
    data::{self, DataConfiguration, Deadline, HookSocket, NodeSamples, State},
    failure::Failure,
    forwarding::Forwarding,
    identifiers::Identifiers,
    output::Outlet,
    pipeline::Reporter,
    quality::{self, InspectorCounts, Linking},
    rulebook::Rules,
    scope::Scope,
    security::{self, feed::FeedKeeper, intelligence::Indicators},
    selection::Selection,
    summary::ExchangeCounts,
};

/// Those that the configuration asks for.
pub(super) struct Modules {
    data: Option<data::Running>,
    deadline: Option<Deadline>,
    security: Option<security::Running>,
    indicators: Option<Indicators>,
    quality: Option<quality::Running>,
    /// What calls are made with; `None`: nobody wants any.
    calls: Option<Arc<ExtractorSettings>>,
}

impl Modules {
    /// Starts them.
    pub(super) fn start(setting: &Setting<'_>, rules: &Rules) -> Result<Self, Failure> {
        let Configuration { data, security: section, outbox, .. } = setting.configuration;
        let state = State::beside(outbox.folder.as_deref());
        let mut calls = None;
        let data = data.as_ref().filter(|_| !setting.format.is_silent());
        let data =
            data.map(|data| start_data(setting, data, state.clone(), &mut calls)).transpose()?;
        let security = (section.enabled && !setting.format.is_silent())
            .then(|| start_security(setting, state, &mut calls))
            .transpose()?;
        if !section.enabled && (section.misp.is_some() || section.intelligence.is_some()) {
            eprintln!(
                "mop: [security.misp] and [security.intelligence] do nothing while security.enabled is false"
            );
        }
        let intelligence = section.intelligence.as_ref().filter(|_| security.is_some());
        let mut indicators = intelligence.map(Indicators::open).transpose()?;
        if let Some(indicators) = &mut indicators {
            indicators.watch()?;
            let stores = indicators.stores();
            setting.vitals.add_families(move || stores.families());
        }
        let deadline = match &data {
            Some(_) => Deadline::start(setting.configuration, setting.vitals)?,
            None => None,
        };
        let quality = start_quality(setting, rules)?;
        Ok(Self { data, deadline, security, indicators, quality, calls })
    }

    /// Makes the reporter of a worker, or of the door.
    pub(super) fn reporter(
        &self,
        setting: &Setting<'_>,
        rules: &Rules,
        scope: &Scope,
        (run, worker): (&str, &str),
        outlet: Outlet,
    ) -> Reporter {
        let Setting { arguments, format, forwarding, tenure, guard, .. } = setting;
        let name = format!("{run}/{worker}");
        let inspector = inspector(rules, &arguments.quality, LIVE_CLEAN, name, *forwarding);
        Reporter {
            tenure: Arc::clone(tenure),
            scope: scope.clone(),
            guard: Some(Arc::clone(guard)),
            selection: Selection::of(&arguments.report),
            payload: format.payload(),
            outlet: (!format.is_silent()).then_some(outlet),
            clock: Clock::now(),
            identifiers: Identifiers::of_run(run),
            counts: ExchangeCounts::default(),
            inspector: inspector
                .zip(self.quality.as_ref())
                .map(|(inspector, running)| inspector.handing_over(running)),
            extractor: self.calls.clone().map(Extractor::new),
            data: self.data.as_ref().map(data::Running::port),
            security: self.security.as_ref().zip(rules.books()).map(|(running, books)| {
                running.port(books).looking_up(self.indicators.as_ref().map(Indicators::stores))
            }),
        }
    }

    /// What can be asked of them by HTTP.
    pub(super) fn routes(&self, configuration: &Configuration) -> axum::Router {
        let mut routes = axum::Router::new();
        if let (Some(data), Some(running)) = (&configuration.data, &self.data) {
            routes = routes.merge(data::routes(data, running));
        }
        if let (Some(feed), Some(_)) = (&configuration.security.misp, &self.security) {
            routes = routes.merge(security::feed::routes(feed));
        }
        routes
    }

    /// The data module, where there is one.
    pub(super) fn data(&self) -> Option<&data::Running> {
        self.data.as_ref()
    }

    /// Ends them after all that was handed to them. What quality counted, and what the others came to:
    /// whatever became of one, what the others reported is to be kept first.
    pub(super) fn stop(
        self,
        hook: Option<HookSocket>,
    ) -> Result<impl FnOnce() -> Result<Option<InspectorCounts>, Failure>, Failure> {
        let Self { data, deadline, security, indicators, quality, calls: _ } = self;
        let quality = quality.map(quality::Running::stop).transpose();
        if let Some(hook) = hook {
            hook.stop();
        }
        let data = data.map_or(Ok(()), data::Running::stop);
        let security = security.map_or(Ok(()), security::Running::stop);
        if let Some(indicators) = indicators {
            indicators.stop()?;
        }
        if let Some(deadline) = deadline {
            deadline.stop();
        }
        Ok(move || {
            let counted = quality?;
            data?;
            security?;
            Ok(counted)
        })
    }
}

fn start_data(
    setting: &Setting<'_>,
    data: &DataConfiguration,
    state: State,
    calls: &mut Option<Arc<ExtractorSettings>>,
) -> Result<data::Running, Failure> {
    let node = NodeSamples::live(setting.configuration, setting.vitals);
    let module = data::Module::open(data, state, node, Timestamp::now())?.of_run(setting.run);
    let module = module.counting(Forwarding::made(setting.forwarding));
    *calls = Some(module.extractor());
    data::Running::start(module, setting.output.outlet_that_waits(), setting.vitals)
}

fn start_security(
    setting: &Setting<'_>,
    state: State,
    calls: &mut Option<Arc<ExtractorSettings>>,
) -> Result<security::Running, Failure> {
    let Setting { configuration, vitals, .. } = setting;
    let settings = match calls {
        Some(settings) => Arc::clone(settings),
        None => calls.insert(DataConfiguration::default().extractor(state.key()?)?).clone(),
    };
    let addresses = configuration.data.as_ref().map(DataConfiguration::addresses);
    let addresses = addresses.transpose()?.unwrap_or_default();
    let module = security::Module::new(&configuration.security, &settings, addresses)?;
    let feed = configuration.security.misp.as_ref();
    let feed = feed.map(|feed| FeedKeeper::open(feed, Timestamp::now())).transpose()?;
    if let Some(feed) = &feed {
        let feed = feed.vitals();
        vitals.add_families(move || feed.families());
    }
    let module = module.with_feed(feed).with_state(state);
    security::Running::start(module, setting.output.outlet_that_waits(), vitals)
}

fn start_quality(
    setting: &Setting<'_>,
    rules: &Rules,
) -> Result<Option<quality::Running>, Failure> {
    let Some(books) = rules.judging_books() else { return Ok(None) };
    let addresses = setting.configuration.data.as_ref().map(DataConfiguration::addresses);
    let parts = quality::Parts {
        books,
        arguments: &setting.arguments.quality,
        report_clean: LIVE_CLEAN,
        name: setting.run.to_owned(),
        official: setting.forwarding.and_then(Forwarding::official_source),
        outlet: setting.outlet_of_module(),
        linking: Linking::new(addresses.transpose()?.unwrap_or_default())?,
    };
    quality::Running::start(parts, setting.vitals).map(Some)
}
