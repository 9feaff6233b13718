//! HTTP of the admin listener, and the limits of its clients.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
    serve::Listener,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::{health, metrics};
use crate::vitals::Vitals;

/// All paths.
pub(super) fn router(vitals: Arc<Vitals>, extra: Router) -> Router {
    let exposition = Arc::new(metrics::registry(Arc::clone(&vitals)));
    limited(
        Router::new()
            .route("/metrics", get(move |headers| metrics::respond(headers, exposition)))
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .with_state(vitals)
            .merge(extra),
    )
}

/// Paths with the limits of what a client can make the program do.
pub(crate) fn limited(router: Router) -> Router {
    router
        .method_not_allowed_fallback(async || {
            refused(StatusCode::METHOD_NOT_ALLOWED, "this path has no such method")
        })
        .fallback(async || refused(StatusCode::NOT_FOUND, "there is no such path"))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(in_time))
}

/// Accepts connections until told to stop, then waits a moment for those that are answered.
pub(crate) async fn serve(
    mut listener: impl Listener,
    router: Router,
    mut stopped: oneshot::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (ending, ended) = watch::channel(false);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&mut listener, &places) => accepted,
            _ = &mut stopped => break,
        };
        // The places are there as long as this is.
        let Some((stream, place)) = accepted else { break };
        let (router, mut ended) = (router.clone(), ended.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            tokio::pin!(connection);
            // How a client ends its connection is its own business.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = is_set(&mut ended) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(STOP_LIMIT, connection).await;
                }
            }
            drop(place);
        });
    }
    let _ = ending.send(true);
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(STOP_LIMIT, places.acquire_many(all)).await;
}

/// The next connection, once there is a place for it. When no descriptors are left, the listener waits
/// a second for some.
async fn accept<L: Listener>(
    listener: &mut L,
    places: &Arc<Semaphore>,
) -> Option<(L::Io, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await;
    Some((stream, place))
}

async fn is_set(flag: &mut watch::Receiver<bool>) {
    // An error says that the server is gone, which is an end too.
    let _ = flag.wait_for(|flag| *flag).await.is_ok();
}

/// Bounds the time from the end of a request's head to the start of its answer.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
    }
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

/// A scraper, two probes and a few people; more wait until one of them is served.
const MAX_CONNECTIONS: usize = 64;

/// A head is one packet. It also ends connections that are kept open without being used.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Far more than any scraper sends.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// None of the own paths takes a body. Others that do may set their own limit.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Every answer is made from memory.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// Part of the ten seconds that a stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(1);
