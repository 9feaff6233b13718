//! `GET /misp/<file>`: the feed for another MISP, on the admin listener.
//!
//! A puller says by `If-None-Match` what it has, and is told by 304 that nothing is new. Names are
//! those of a feed and no paths; nothing can be changed.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use mop_insight::security::misp::feed::etag;

use super::{
    FeedConfiguration,
    folder::{FileName, Folder},
};

/// The path, when the configuration wants it.
pub(crate) fn routes(configuration: &FeedConfiguration) -> Router {
    if !configuration.serve {
        return Router::new();
    }
    let folder = Arc::new(Folder::at(&PathBuf::clone(&configuration.folder)));
    Router::new().route(PATH, get(serve)).with_state(folder)
}

async fn serve(
    State(folder): State<Arc<Folder>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(name) = FileName::parse(&file) else { return StatusCode::NOT_FOUND.into_response() };
    let read = tokio::task::spawn_blocking(move || {
        let content = folder.read(name)?;
        Ok::<_, std::io::Error>(content.map(|content| (etag(&content), content)))
    });
    let (etag, content) = match read.await {
        Ok(Ok(Some(found))) => found,
        Ok(Ok(None)) => return StatusCode::NOT_FOUND.into_response(),
        Ok(Err(_)) | Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let kind = match name {
        FileName::Event(_) | FileName::Manifest => "application/json",
        FileName::Hashes => "text/csv; charset=utf-8",
    };
    let is_known = is_known(&headers, &etag);
    let head = [
        (header::ETAG, etag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, content).into_response()
}

/// RFC 9110, section 13.1.2: any of a list, compared weakly.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let mut tags = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tags.any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

const PATH: &str = "/misp/{file}";
