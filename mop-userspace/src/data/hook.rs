//! `POST /v1/hooks/funnel`: steps of funnels that no call shows, told by the programs that know.
//!
//! The body is one JSON object: `consentId`, `side` (`client` or `server`), `step`, `timestamp` and
//! `additionalInfo`, as the metrics platform names them. `Authorization: Bearer …` with the token of
//! `data.hook_token_file`. Answers: 202, taken; 400, with `code` and `message`, never; 401, no token or
//! a wrong one; 503, not now. On the Unix socket of `data.hook_socket` no token is asked for.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use crossbeam_channel::Sender;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use mop_insight::data::funnel::{FunnelRules, HookStep, hook::MAX_HOOK_BYTES};
use sha2::Sha256;
use tokio::sync::oneshot;

use super::{DataConfiguration, Running, thread::Message};
use crate::sinks::http::SecretFile;

struct Hook {
    messages: Sender<Message>,
    rules: Arc<FunnelRules>,
    /// None: whoever can connect is allowed.
    token: Option<SecretFile>,
}

/// The path, when a token says who may use it.
pub(super) fn routes(configuration: &DataConfiguration, running: &Running) -> Router {
    let Some(file) = &configuration.hook_token_file else { return Router::new() };
    routes_with(running, Some(SecretFile(PathBuf::clone(file))))
}

/// The path, for a listener that nobody reaches who may not.
pub(super) fn routes_without_token(running: &Running) -> Router {
    routes_with(running, None)
}

fn routes_with(running: &Running, token: Option<SecretFile>) -> Router {
    let (messages, rules) = running.hook();
    let hook = Arc::new(Hook { messages, rules, token });
    Router::new()
        .route(PATH, post(take))
        .layer(DefaultBodyLimit::max(MAX_HOOK_BYTES + 1))
        .with_state(hook)
}

async fn take(State(hook): State<Arc<Hook>>, headers: HeaderMap, body: Bytes) -> Response {
    match hook.is_allowed(&headers) {
        Ok(true) => {}
        Ok(false) => return said(StatusCode::UNAUTHORIZED, "unauthorised", "the token is wrong"),
        Err(_may_name_the_file) => {
            return said(StatusCode::SERVICE_UNAVAILABLE, "token", "the token cannot be read");
        }
    }
    let step = match HookStep::parse(&body, &hook.rules, Timestamp::now()) {
        Ok(step) => step,
        Err(refusal) => {
            return said(StatusCode::BAD_REQUEST, refusal.name(), &refusal.to_string());
        }
    };
    let (answer, told) = oneshot::channel();
    if hook.messages.try_send(Message::Hook(Box::new(step), answer)).is_err() {
        return said(StatusCode::SERVICE_UNAVAILABLE, "busy", "try again in a second");
    }
    match told.await {
        Ok(Ok(())) => StatusCode::ACCEPTED.into_response(),
        Ok(Err(refusal)) => said(StatusCode::BAD_REQUEST, refusal.name(), &refusal.to_string()),
        Err(_stopping) => said(StatusCode::SERVICE_UNAVAILABLE, "stopping", "try again later"),
    }
}

impl Hook {
    fn is_allowed(&self, headers: &HeaderMap) -> Result<bool, String> {
        let Some(token) = &self.token else { return Ok(true) };
        let wanted = token.read()?;
        let given = headers.get(header::AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
        let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
        // Compared by their digests, so that the time it takes tells nothing.
        let digest = |text: &[u8]| {
            Hmac::<Sha256>::new_from_slice(&wanted).ok().map(|mut mac| {
                mac.update(text);
                mac
            })
        };
        let expected = digest(&wanted).map(|mac| mac.finalize().into_bytes());
        Ok(!given.is_empty()
            && digest(given)
                .zip(expected)
                .is_some_and(|(mac, expected)| mac.verify(&expected).is_ok()))
    }
}

pub(super) fn said(status: StatusCode, code: &'static str, message: &str) -> Response {
    (status, Json(serde_json::json!({ "code": code, "message": message }))).into_response()
}

const PATH: &str = "/v1/hooks/funnel";
