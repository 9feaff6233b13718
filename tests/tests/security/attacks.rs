//! The attacks, each with its twin.

use serde_json::json;

use crate::{
    answers::{
        AUTO, CONSENTS, IDENTIFICATIONS, LEADS, OLD_CONSENTS, QUALIFICATIONS, QUOTES, RESOURCES,
        SHADOW, STATUS,
    },
    scenario::{Call, Scenario, Who},
    secrets::{MAIL, PERSON_DIGITS},
};

/// One after the other.
pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        enumeration(),
        credential_stuffing(),
        replayed_token(),
        unsigned_token(),
        expired_token(),
        shadow_method(),
        stack_trace(),
        personal_data(),
        shadow_route(),
        request_forgery(),
        exfiltration(),
        scanner(),
        consent_abuse(),
    ]
}

/// Identifiers of others are tried; the twin reads what it has consents for, of which some are gone.
fn enumeration() -> Scenario {
    let others = |count| Call::get(&format!("{AUTO}/ap-{{n}}/claim"), 404).times(count);
    Scenario {
        name: "object identifiers are enumerated",
        expected: &["opin_enumeration_fast", "profile.identifiers_enumerated"],
        attack: vec![others(25)],
        twin: vec![Call::get(&format!("{AUTO}/own-{{n}}/claim"), 200).times(40), others(19)],
    }
}

/// Assertions of others are tried; the twin has a key that was replaced, and then the right one.
fn credential_stuffing() -> Scenario {
    Scenario {
        name: "credentials are tried",
        expected: &["opin_token_failures"],
        attack: vec![Call::token("guess-{n}", "PS256", 401).times(25)],
        twin: vec![
            Call::token("guess-0", "PS256", 401).times(19),
            Call::token("receptora", "PS256", 200).times(6),
        ],
    }
}

/// A token comes with another certificate; in the twin each uses its own, on the same path.
fn replayed_token() -> Scenario {
    let own = || Call::token("receptora", "PS256", 200);
    let read = || Call::get(IDENTIFICATIONS, 200).granted();
    Scenario {
        name: "a token is used with another certificate",
        expected: &["profile.token_other_certificate"],
        attack: vec![own().by(Who::Victim), read().by(Who::Victim), read().times(3)],
        twin: vec![own().by(Who::Victim), read().by(Who::Victim), own(), read().times(3)],
    }
}

fn unsigned_token() -> Scenario {
    let calls = |algorithm| {
        vec![
            Call::token("receptora", algorithm, 200),
            Call::get(RESOURCES, 200).bearer(algorithm, 300),
        ]
    };
    Scenario {
        name: "tokens are not signed",
        expected: &["profile.jwt_algorithm_none"],
        attack: calls("none"),
        twin: calls("PS256"),
    }
}

/// A token that is over is accepted; the twin's is refused, and it uses another one.
fn expired_token() -> Scenario {
    Scenario {
        name: "a token that is over is accepted",
        expected: &["profile.jwt_expired_accepted"],
        attack: vec![Call::get(IDENTIFICATIONS, 200).bearer("PS256", -600).times(3)],
        twin: vec![
            Call::get(QUALIFICATIONS, 401).bearer("PS256", -600),
            Call::get(IDENTIFICATIONS, 200).bearer("PS256", 300).times(3),
        ],
    }
}

/// A consent is overwritten; the twin sends the same members where the interface has them.
fn shadow_method() -> Scenario {
    let sent = json!({ "data": {
        "status": "AUTHORISED",
        "permissions": ["RESOURCES_READ", "CUSTOMERS_PERSONAL_IDENTIFICATIONS_READ"],
        "expirationDateTime": "2099-11-24T12:00:00Z",
    }});
    let consent = "urn:seguradora:7c1de8a0-0000-4000-8000-00000000000a";
    Scenario {
        name: "members are assigned by a method that is none",
        expected: &["opin_shadow_method", "profile.method_unlisted"],
        attack: vec![
            Call::get(&format!("{CONSENTS}/{consent}"), 200),
            Call::of("PUT", &format!("{CONSENTS}/{consent}"), 200).json(sent.clone()),
        ],
        twin: vec![
            Call::get(&format!("{CONSENTS}/{consent}"), 200),
            Call::of("POST", CONSENTS, 201).json(sent.clone()),
            Call::of("PATCH", &format!("{QUOTES}/{consent}"), 200).json(sent),
        ],
    }
}

fn stack_trace() -> Scenario {
    let failed = |page| Call::get(&format!("{RESOURCES}?page={page}&page-size=25"), 500);
    Scenario {
        name: "an error shows the inside of a program",
        expected: &["opin_stack_trace"],
        attack: vec![failed(9).times(2)],
        twin: vec![failed(8).times(2)],
    }
}

/// The same person is sent in both; the twin's refusal does not repeat it.
fn personal_data() -> Scenario {
    let lead = |plate: &str| {
        let person = json!({ "cpfNumber": PERSON_DIGITS, "email": MAIL, "licensePlate": plate });
        Call::of("POST", LEADS, 422).json(json!({ "data": { "quoteCustomer": person } }))
    };
    Scenario {
        name: "an error holds personal data",
        expected: &["opin_personal_data_in_error"],
        attack: vec![lead("desconhecida").times(2)],
        twin: vec![lead("ABC1D23").times(2)],
    }
}

/// The twin asks for paths as odd, which are refused.
fn shadow_route() -> Scenario {
    Scenario {
        name: "a route that no contract has is answered",
        expected: &["opin_shadow_route"],
        attack: vec![Call::get(SHADOW, 200), Call::get(OLD_CONSENTS, 200)],
        twin: vec![
            Call::get("/open-insurance/internal/v1/claims", 404),
            Call::get("/open-insurance/consents/v9/consents", 404),
            Call::get(STATUS, 200),
        ],
    }
}

/// The server is to fetch what is inside of its network; the twin has addresses of the web.
fn request_forgery() -> Scenario {
    let quote = |address: &str| {
        let consent = "urn:seguradora:7c1de8a0-0000-4000-8000-00000000000b";
        let data = json!({ "consentId": consent, "callback": address });
        Call::of("POST", QUOTES, 201).json(json!({ "data": data }))
    };
    Scenario {
        name: "a server is made to fetch its own network",
        expected: &["opin_request_forgery"],
        attack: vec![
            quote("http://169.254.169.254/latest/meta-data/iam/security-credentials/"),
            quote("http://localhost:8080/admin"),
        ],
        twin: vec![
            quote("https://parceira.example/latest/meta-data/"),
            quote("https://parceira.example:8443/admin"),
        ],
    }
}

/// 300 MiB in a short time, and 240.
fn exfiltration() -> Scenario {
    // As fast as a line of 100 Mbit/s: more than a debug build keeps up with proves nothing.
    let read = |count| Call::get(AUTO, 200).times(count).pause(0.2);
    Scenario {
        name: "very much data is taken away",
        expected: &["opin_exfiltration"],
        attack: vec![read(100)],
        twin: vec![read(80), Call::get(RESOURCES, 200).times(20)],
    }
}

/// Paths are looked for; the twin has wrong addresses in its configuration.
fn scanner() -> Scenario {
    let scan = |target: &str| {
        Call::get(target, 404).agent("Mozilla/5.0 (compatible; Nuclei - Open-source project)")
    };
    let sensitive = ["/.env", "/.git/config", "/actuator/heapdump", "/wp-admin/setup", "/dump.sql"];
    let mut attack: Vec<Call> = sensitive.into_iter().map(scan).collect();
    attack.push(Call::get("/console-{n}/index", 404).times(24));
    let ordinary = ["/environment", "/actuator/health", "/favicon.ico", "/robots.txt"];
    let mut twin: Vec<Call> = ordinary.into_iter().map(|target| Call::get(target, 404)).collect();
    twin.push(Call::get("/open-insurance/quote-boat/v1/{n}", 404).times(20));
    Scenario {
        name: "a scanner looks for paths",
        expected: &[
            "opin_scanner_user_agent",
            "opin_sensitive_path",
            "opin_path_traversal",
            "opin_path_discovery",
        ],
        attack,
        twin,
    }
}

/// Consents that no person waits for; the twin has a busy hour.
fn consent_abuse() -> Scenario {
    let create = |count| {
        let document = json!({ "identification": PERSON_DIGITS, "rel": "CPF" });
        let data = json!({
            "loggedUser": { "document": document },
            "permissions": ["RESOURCES_READ"],
            "expirationDateTime": "2099-11-24T12:00:00Z",
        });
        Call::of("POST", CONSENTS, 201).json(json!({ "data": data })).times(count)
    };
    Scenario {
        name: "consents are asked for in masses",
        expected: &["opin_consent_abuse"],
        attack: vec![create(105)],
        twin: vec![create(60)],
    }
}
