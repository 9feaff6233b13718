//! `/healthz` and `/readyz`: is it alive, and does it do its work.
//!
//! The two are different questions. A process that is not alive should be started again; one that
//! is not ready should be looked at, and starting it again would not help. A broker that is down is
//! neither: the records wait in the outbox.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;

use crate::vitals::{Check, Vitals};

/// Whether every thread goes about its work.
pub(super) async fn healthz(State(vitals): State<Arc<Vitals>>) -> (StatusCode, Json<Report>) {
    Report::answer(vitals.health())
}

/// Whether the probes are attached and the outbox can be written.
pub(super) async fn readyz(State(vitals): State<Arc<Vitals>>) -> (StatusCode, Json<Report>) {
    Report::answer(vitals.readiness())
}

/// An answer.
#[derive(Serialize)]
pub(super) struct Report {
    status: &'static str,
    checks: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Report {
    fn answer(checks: Vec<Check>) -> (StatusCode, Json<Self>) {
        let is_well = checks.iter().all(|check| check.trouble.is_none());
        let code = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let checks = checks
            .into_iter()
            .map(|Check { name, trouble }| Line {
                name,
                status: word(trouble.is_none()),
                reason: trouble,
            })
            .collect();
        (code, Json(Self { status: word(is_well), checks }))
    }
}

fn word(is_well: bool) -> &'static str {
    if is_well { "ok" } else { "failing" }
}
