//! What the platform says of each event of a batch.

use serde::Deserialize;

use crate::sinks::{Verdict, http::Answer};

/// An item of an answer. Its message is for the operator and may quote what was sent: only which
/// member it speaks of is kept.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    correlation_id: Option<String>,
    status: String,
    #[serde(default)]
    message: String,
}

/// One verdict an event, in order; `None` when the answer does not say what became of each.
///
/// Answers have the order of the request. Where they name events, the names decide.
pub(super) fn of_items(answer: &Answer, correlations: &[Option<String>]) -> Option<Vec<Verdict>> {
    let items: Option<Vec<Item>> = serde_json::from_slice(&answer.body).ok();
    let Some(items) = items else {
        // All of them, whatever else it says.
        let is_whole = answer.status == PROCESSED;
        return is_whole.then(|| vec![Verdict::Delivered; correlations.len()]);
    };
    let is_ordered = items.len() == correlations.len()
        && items.iter().zip(correlations).all(|(item, name)| {
            item.correlation_id.is_none() || name.is_none() || item.correlation_id == *name
        });
    if is_ordered {
        return Some(items.iter().map(verdict).collect());
    }
    let named = |name: &Option<String>| {
        let found = items.iter().filter(|item| name.is_some() && item.correlation_id == *name);
        // An event that is named twice was taken when one of both was.
        found.map(verdict).min_by_key(|verdict| *verdict != Verdict::Delivered)
    };
    correlations.iter().map(named).collect()
}

fn verdict(item: &Item) -> Verdict {
    match &*item.status {
        "ACCEPTED" => Verdict::Delivered,
        _ => Verdict::Parked(reason(&item.message)),
    }
}

/// Which member was wrong, in a word that the outbox and metrics may tell.
fn reason(message: &str) -> &'static str {
    let found = MEMBERS.iter().find(|(member, _)| message.contains(member));
    found.map_or("discarded", |(_, reason)| reason)
}

/// The status of an answer that says that all were taken.
const PROCESSED: u16 = 200;

/// Members of events, those first whose names are a part of others' messages.
const MEMBERS: [(&str, &str); 17] = [
    ("endpointUriPrefix", "discarded_endpoint_uri_prefix"),
    ("endpoint", "discarded_endpoint"),
    ("fapiInteractionId", "discarded_fapi_interaction_id"),
    ("correlationId", "discarded_correlation_id"),
    ("consentId", "discarded_consent_id"),
    ("additionalInfo", "discarded_additional_info"),
    ("permissions", "discarded_permissions"),
    ("processTimespan", "discarded_process_timespan"),
    ("timestamp", "discarded_timestamp"),
    ("statusCode", "discarded_status_code"),
    ("httpMethod", "discarded_http_method"),
    ("clientOrgId", "discarded_client_org_id"),
    ("clientSSId", "discarded_client_ss_id"),
    ("serverOrgId", "discarded_server_org_id"),
    ("serverASId", "discarded_server_as_id"),
    ("step", "discarded_step"),
    ("url", "discarded_url"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, retry_after: None, body: body.as_bytes().to_vec() }
    }

    fn names(names: &[&str]) -> Vec<Option<String>> {
        names.iter().map(|name| Some((*name).to_owned())).collect()
    }

    const TAKEN: &str = r#"{"reportId":"r","correlationId":"a","status":"ACCEPTED"}"#;
    const DISCARDED: &str =
        r#"{"correlationId":"b","status":"DISCARDED","message":"Missing fields: endpoint"}"#;

    #[test]
    fn each_event_has_its_item() {
        let mixed = answer(207, &format!("[{TAKEN},{DISCARDED}]"));
        let expected = [Verdict::Delivered, Verdict::Parked("discarded_endpoint")];
        assert_eq!(of_items(&mixed, &names(&["a", "b"])).as_deref(), Some(&expected[..]));
        let turned = [Verdict::Parked("discarded_endpoint"), Verdict::Delivered];
        assert_eq!(of_items(&mixed, &names(&["b", "a"])).as_deref(), Some(&turned[..]));
        let unnamed = answer(207, r#"[{"status":"ACCEPTED"},{"status":"DISCARDED","message":""}]"#);
        let expected = [Verdict::Delivered, Verdict::Parked("discarded")];
        assert_eq!(of_items(&unnamed, &names(&["a", "b"])).as_deref(), Some(&expected[..]));
    }

    #[test]
    fn what_was_not_said_is_not_known() {
        assert_eq!(of_items(&answer(207, "?"), &names(&["a"])), None);
        assert_eq!(of_items(&answer(207, &format!("[{TAKEN}]")), &names(&["a", "c"])), None);
        assert_eq!(of_items(&answer(200, ""), &names(&["a"])), Some(vec![Verdict::Delivered]));
    }

    #[test]
    fn no_message_is_quoted() {
        assert_eq!(reason("clientSSId 123 is not known"), "discarded_client_ss_id");
        assert_eq!(reason("Missing fields: endpointUriPrefix"), "discarded_endpoint_uri_prefix");
        assert_eq!(reason("urn:secret"), "discarded");
    }
}
