//! `GET /open-insurance/admin/v1/metrics` on the admin listener: the figures of this node, as the
//! published document wants them (`admin_metrics` 1.3.0; rates also fit 2.0.0).
//!
//! `period` is `ALL` (left out: the same) or `CURRENT`. Which organisation: `organisation` says it, else
//! the name under which it is called (`Host`), else there is only one. There is one page, so `page` and
//! `page-size` say nothing. Anything else is refused with `code` and `message`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use crossbeam_channel::Sender;
use mop_insight::data::{
    identity::{directory_id, host},
    metrics::Period,
};
use tokio::sync::oneshot;

use super::Question;
use crate::data::{DataConfiguration, hook::said, thread::Message};

struct Published {
    messages: Sender<Message>,
    brands: Brands,
}

/// Own organisations by their names.
#[derive(Debug, Default)]
struct Brands(Vec<Brand>);

#[derive(Debug)]
struct Brand {
    hosts: Vec<String>,
    organisation: String,
}

/// Why a question cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Organisation,
    OrganisationUnknown,
    Period,
}

/// The path, when there is an organisation that answers calls.
pub(in crate::data) fn routes(
    configuration: &DataConfiguration,
    messages: Sender<Message>,
) -> Router {
    let brands = Brands::of(configuration);
    if brands.0.is_empty() {
        return Router::new();
    }
    Router::new().route(PATH, get(answer)).with_state(Arc::new(Published { messages, brands }))
}

async fn answer(
    State(published): State<Arc<Published>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let named = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let named = named.and_then(host::of_authority);
    let question = match published.brands.question(query.as_deref().unwrap_or_default(), named) {
        Ok(question) => question,
        Err(refusal) => return refusal.into_response(),
    };
    let (answer, told) = oneshot::channel();
    let message = Message::Figures(Box::new(question), answer);
    if published.messages.try_send(message).is_err() {
        return said(StatusCode::SERVICE_UNAVAILABLE, "busy", "try again in a second");
    }
    match told.await {
        Ok(Some(body)) => Json(body).into_response(),
        Ok(None) => said(
            StatusCode::NOT_FOUND,
            "not_observed",
            "no call to this organisation was seen yet, so there are no figures of it",
        ),
        Err(_stopping) => said(StatusCode::SERVICE_UNAVAILABLE, "stopping", "try again later"),
    }
}

impl Brands {
    fn of(configuration: &DataConfiguration) -> Self {
        let brands = configuration.servers.iter().filter_map(|server| {
            Some(Brand {
                hosts: server.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
                organisation: directory_id(&server.organisation_id)?,
            })
        });
        Self(brands.collect())
    }

    /// What a request asks for; `called` is the host that it names.
    fn question(&self, query: &str, called: Option<String>) -> Result<Question, Refusal> {
        let (mut period, mut organisation) = (None, None);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "period" => {
                    let read = match value {
                        "ALL" => Period::All,
                        "CURRENT" => Period::Current,
                        _ => return Err(Refusal::Period),
                    };
                    if period.replace(read).is_some() {
                        return Err(Refusal::Period);
                    }
                }
                "organisation" if organisation.replace(value).is_some() => {
                    return Err(Refusal::Organisation);
                }
                _ => {}
            }
        }
        let brand = self.brand(organisation, called.as_deref())?;
        let is_own = called.as_ref().is_some_and(|called| brand.hosts.contains(called));
        let host = if is_own { called } else { brand.hosts.first().cloned().or(called) };
        Ok(Question {
            organisation: brand.organisation.clone(),
            period: period.unwrap_or(Period::All),
            // The document wants an address of https.
            address: format!("https://{}{PATH}", host.as_deref().unwrap_or("localhost")),
        })
    }

    fn brand(&self, organisation: Option<&str>, called: Option<&str>) -> Result<&Brand, Refusal> {
        if let Some(organisation) = organisation {
            let wanted = directory_id(organisation).ok_or(Refusal::OrganisationUnknown)?;
            let mut brands = self.0.iter().filter(|brand| brand.organisation == wanted);
            return brands.next().ok_or(Refusal::OrganisationUnknown);
        }
        let is_called = |brand: &&Brand| {
            called.is_some_and(|called| brand.hosts.iter().any(|host| host == called))
        };
        if let Some(brand) = self.0.iter().find(is_called) {
            return Ok(brand);
        }
        let first = self.0.first().ok_or(Refusal::Organisation)?;
        let is_only = self.0.iter().all(|brand| brand.organisation == first.organisation);
        is_only.then_some(first).ok_or(Refusal::Organisation)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Organisation => said(
                StatusCode::BAD_REQUEST,
                "organisation",
                "this node answers for several organisations: name one of them, once, as \
                 `organisation`",
            ),
            Self::OrganisationUnknown => said(
                StatusCode::NOT_FOUND,
                "organisation_unknown",
                "no section [[data.servers]] has this organisation",
            ),
            Self::Period => {
                said(StatusCode::BAD_REQUEST, "period", "`period` is ALL or CURRENT, once")
            }
        }
    }
}

const PATH: &str = "/open-insurance/admin/v1/metrics";

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "11111111-1111-4111-8111-111111111111";
    const TWO: &str = "22222222-2222-4222-8222-222222222222";

    fn brands(of: &[(&str, &[&str])]) -> Brands {
        Brands(
            of.iter()
                .map(|(organisation, hosts)| Brand {
                    hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
                    organisation: (*organisation).to_owned(),
                })
                .collect(),
        )
    }

    fn asked(
        brands: &Brands,
        query: &str,
        host: &str,
    ) -> Result<(String, Period, String), Refusal> {
        let Question { organisation, period, address } =
            brands.question(query, host::of_authority(host))?;
        Ok((organisation, period, address))
    }

    #[test]
    fn the_only_organisation_is_meant_unless_another_is_named() {
        let only = brands(&[(ONE, &["a.example", "b.example"]), (ONE, &["c.example"])]);
        let address = |host: &str| format!("https://{host}{PATH}");
        let answer = |host: &str, period| Ok((ONE.to_owned(), period, address(host)));
        assert_eq!(asked(&only, "", "127.0.0.1:9464"), answer("a.example", Period::All));
        assert_eq!(
            asked(&only, "period=CURRENT", "B.example"),
            answer("b.example", Period::Current)
        );
        assert_eq!(
            asked(&only, "page=1&period=ALL&page-size=25", "c.example:443"),
            answer("c.example", Period::All)
        );
        let named = format!("organisation={}", ONE.to_uppercase());
        assert_eq!(asked(&only, &named, ""), answer("a.example", Period::All));
        assert_eq!(
            asked(&only, &format!("organisation={TWO}"), ""),
            Err(Refusal::OrganisationUnknown)
        );
        let nameless = brands(&[(ONE, &[])]);
        assert_eq!(asked(&nameless, "", "127.0.0.1:1"), answer("127.0.0.1", Period::All));
        assert_eq!(asked(&nameless, "", "not a host"), answer("localhost", Period::All));
    }

    #[test]
    fn of_several_organisations_one_is_named() {
        let several = brands(&[(ONE, &["a.example"]), (TWO, &["b.example"])]);
        let organisation = |query: &str, host: &str| asked(&several, query, host).map(|it| it.0);
        assert_eq!(organisation("", "127.0.0.1"), Err(Refusal::Organisation));
        assert_eq!(organisation("", "b.example"), Ok(TWO.to_owned()));
        let named = format!("organisation={ONE}");
        assert_eq!(organisation(&named, "b.example"), Ok(ONE.to_owned()));
        assert_eq!(organisation(&format!("{named}&{named}"), ""), Err(Refusal::Organisation));
        assert_eq!(organisation("organisation=", ""), Err(Refusal::OrganisationUnknown));
        for wrong in ["period=", "period=all", "period=ALL&period=ALL", "period=%41LL"] {
            assert_eq!(organisation(wrong, "b.example"), Err(Refusal::Period), "{wrong}");
        }
    }
}
