//! Cases of checks that need what came before, and of headers and bodies.

use mop_insight::security::profile::Check;
use serde_json::json;

use super::{
    CLAIM, Case, OTHER, POLICIES, Row, assertion, base64, consent, deleted, granted, jwt, policies,
    quote, read, revoked, uuid,
};
use crate::common::{INTERACTION, SERVER};

pub(crate) fn bearers() -> Vec<Row> {
    let grant = || granted(Some(&assertion("a1")), "t1", 300);
    let call = |milliseconds| policies().made(|made| made.bearer("t1")).at(milliseconds);
    let bound = |fingerprint: u8| {
        let token = jwt(
            &json!({"alg": "PS256", "kid": "k"}),
            &json!({"cnf": {"x5t#S256": base64(&[fingerprint; 32])}}),
        );
        policies().made(|made| made.bearer(&token))
    };
    vec![
        (
            Check::TokenLifetime,
            vec![granted(Some(&assertion("a1")), "t1", 901)],
            vec![granted(Some(&assertion("a1")), "t1", 900)],
        ),
        (
            Check::TokenExpiredAccepted,
            vec![grant(), call(361_000)],
            vec![grant(), call(359_000), call(361_000).status(401)],
        ),
        (
            Check::TokenRevokedAccepted,
            vec![grant(), revoked("t1").at(1_000), call(2_000)],
            vec![
                grant(),
                // It was on its way when the token was revoked.
                revoked("t1").at(1_000),
                call(1_005),
                call(2_000).status(401),
            ],
        ),
        (
            Check::TokenOtherCertificate,
            vec![grant(), call(1_000).certificate(|it| it.fingerprint = Some([2; 32]))],
            vec![
                grant(),
                call(1_000),
                // Its certificate was not seen.
                call(2_000).anonymous(),
            ],
        ),
        (Check::TokenBindingMismatch, vec![bound(2)], vec![bound(1), bound(2).anonymous()]),
        (
            Check::TokenInUrl,
            vec![Case::new("GET", &format!("{POLICIES}?access_token=x"), 200)],
            vec![Case::new("GET", &format!("{POLICIES}?access_token=&page=1"), 200)],
        ),
    ]
}

pub(crate) fn consents() -> Vec<Row> {
    let auto = ["DAMAGES_AND_PEOPLE_AUTO_READ", "RESOURCES_READ"];
    let grant = || granted(Some(&assertion("a1")), "t1", 300).at(1_000);
    let call = |target: &str, milliseconds| {
        Case::new("GET", target, 200).made(|made| made.bearer("t1")).at(milliseconds)
    };
    vec![
        (
            Check::ConsentEndedAccepted,
            vec![consent(&auto), grant(), deleted().at(2_000), call(POLICIES, 3_000)],
            vec![
                consent(&auto),
                grant(),
                call(POLICIES, 1_500),
                deleted().at(2_000),
                call(POLICIES, 3_000).status(401),
                // Who owns a consent may look at it when it is over.
                read("REJECTED", &auto).at(4_000),
            ],
        ),
        (
            Check::ConsentOfOtherOrganisation,
            vec![consent(&auto), read("AUTHORISED", &auto).at(1_000).of(OTHER)],
            vec![
                consent(&auto),
                read("AUTHORISED", &auto).at(1_000),
                read("AUTHORISED", &auto).at(2_000).of(OTHER).status(403),
                read("AUTHORISED", &auto).at(3_000).anonymous(),
                // A hop inside of the organisation that is called.
                read("AUTHORISED", &auto).at(4_000).of(SERVER).parties(|it| {
                    it.server_organisation = Some(SERVER.into());
                }),
            ],
        ),
        (
            Check::PermissionMissing,
            vec![consent(&auto), grant(), call(CLAIM, 2_000)],
            vec![consent(&auto), grant(), call(POLICIES, 2_000), call(CLAIM, 3_000).status(403)],
        ),
    ]
}

pub(crate) fn headers() -> Vec<Row> {
    let sent = |id: &str| {
        policies()
            .made(|made| made.without("x-fapi-interaction-id").header("x-fapi-interaction-id", id))
    };
    let typed = |media: &str, body: &[u8]| policies().answer(media, body);
    let nested = |depth: usize| typed("application/json", "[".repeat(depth).as_bytes());
    let large = |bytes: usize| quote("k1", &json!({"data": "x".repeat(bytes)}));
    vec![
        (
            Check::InteractionIdMissing,
            vec![policies().made(|made| made.without("x-fapi-interaction-id"))],
            vec![
                policies().made(|made| made.without("x-fapi-interaction-id")).status(400),
                Case::new("GET", "/open-insurance/channels/v1/branches", 200)
                    .made(|made| made.without("x-fapi-interaction-id")),
            ],
        ),
        (Check::InteractionIdMalformed, vec![sent("1 2")], vec![sent("1 2").status(400)]),
        (
            Check::InteractionIdNotUuid,
            vec![sent("12345").returns("x-fapi-interaction-id", "12345")],
            vec![policies().returns("x-fapi-interaction-id", &INTERACTION.to_uppercase())],
        ),
        (
            Check::InteractionIdChanged,
            vec![policies().returns("x-fapi-interaction-id", &uuid(2))],
            vec![policies()],
        ),
        (
            Check::InteractionIdNotReturned,
            vec![policies().silent("x-fapi-interaction-id")],
            vec![policies()],
        ),
        (
            Check::IdempotencyKeyMissing,
            vec![quote("", &json!({}))],
            vec![quote("", &json!({})).status(400), quote("k1", &json!({}))],
        ),
        (
            Check::IdempotencyKeyReused,
            vec![quote("k1", &json!({"a": 1})), quote("k1", &json!({"a": 2})).at(1_000)],
            vec![
                quote("k1", &json!({"a": 1})),
                quote("k1", &json!({"a": 1})).at(1_000),
                quote("k1", &json!({"a": 2})).at(2_000).status(422),
                quote("k1", &json!({"a": 2})).at(3_000).of(OTHER),
            ],
        ),
        (
            Check::SecurityHeadersMissing,
            vec![policies().silent("x-frame-options")],
            vec![policies().silent("x-frame-options").client()],
        ),
        (
            Check::RetryAfterMissing,
            vec![policies().status(429)],
            vec![policies().status(429).returns("Retry-After", "1"), policies().at(2_000)],
        ),
        (
            Check::ContentTypeMismatch,
            vec![typed("application/json; charset=utf-8", b" <html>")],
            vec![
                typed("application/json", b" [1]"),
                typed("text/plain", b"<"),
                typed("text/html", b"<"),
            ],
        ),
        (Check::JsonTooDeep, vec![nested(33)], vec![nested(32)]),
        (Check::BodyTooLarge, vec![large(1 << 20)], vec![large(1 << 19)]),
        (
            Check::MethodUnlisted,
            vec![Case::new("DELETE", POLICIES, 405)],
            vec![Case::new("OPTIONS", POLICIES, 204), Case::new("HEAD", POLICIES, 200)],
        ),
        (
            Check::TraceAnswered,
            vec![Case::new("TRACE", "/", 200)],
            vec![Case::new("TRACE", "/", 405)],
        ),
    ]
}

pub(crate) fn often() -> Vec<Row> {
    let many = |count: i64, every: i64, make: &dyn Fn(i64) -> Case| -> Vec<Case> {
        (0..count).map(|at| make(at).at(at * every)).collect()
    };
    let policy = |number| format!("{POLICIES}/{number}/claim");
    let addressed = |case: Case| case.connection(|it| it.is_client_address_visible = true);
    let waiting = |at: i64| match at {
        0 => policies().status(429).returns("Retry-After", "10"),
        _ => policies(),
    };
    vec![
        (
            Check::IdentifiersEnumerated,
            many(21, 1_000, &|at| Case::new("GET", &policy(at), 404)),
            [
                // One after the other for hours, and the same one again and again.
                many(40, 20_000, &|at| Case::new("GET", &policy(at), 404)),
                many(40, 20_000, &|_| Case::new("GET", &policy(1), 404)),
            ]
            .concat(),
        ),
        (
            Check::RefusalsBurst,
            many(31, 1_000, &|_| policies().status(401)),
            many(60, 3_000, &|_| policies().status(401)),
        ),
        (
            Check::ThrottledBurst,
            many(31, 1_000, &|_| policies().status(429).returns("Retry-After", "0")),
            many(60, 3_000, &|_| policies().status(429).returns("Retry-After", "0")),
        ),
        (Check::RetryAfterIgnored, many(7, 1_000, &waiting), many(7, 11_000, &waiting)),
        (
            Check::RateExceeded,
            many(501, 100, &|_| addressed(policies())),
            [
                many(501, 130, &|_| addressed(policies())),
                // Whose address it is, is not known.
                many(501, 100, &|_| policies()),
            ]
            .concat(),
        ),
    ]
}
