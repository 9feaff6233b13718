//! What the application of the transmitting participant answers: some of it as it should not.

use serde_json::{Value, json};

use crate::secrets::{MAIL, PERSON, TOKEN};

/// In the order in which they are tried.
pub(crate) fn answers() -> Vec<Value> {
    let data = json!({ "data": [], "links": {}, "meta": { "totalRecords": 0, "totalPages": 1 } });
    let consent = json!({ "data": {
        "consentId": "urn:seguradora:{uuid}",
        "status": "AWAITING_AUTHORISATION",
        "permissions": ["RESOURCES_READ"],
        "creationDateTime": "2026-11-24T12:00:00Z",
        "statusUpdateDateTime": "2026-11-24T12:00:00Z",
        "expirationDateTime": "2099-11-24T12:00:00Z",
    }});
    let token = json!({
        "access_token": format!("{TOKEN}-{{uuid}}"), "token_type": "Bearer", "expires_in": 300,
    });
    let error = |code: &str, detail: &str| json!({ "errors": [{ "code": code, "title": "Erro", "detail": detail }] });
    let trace = "java.lang.NullPointerException: null\n\
                 \tat example.apolice.Busca.porNumero(Busca.java:42)\n\
                 \tat example.apolice.Servico.listar(Servico.java:118)\n";
    let refused = error("401", "Token vencido");
    let personal = error("422", &format!("CPF {PERSON} ({MAIL}) sem apolice"));
    let mut answers = vec![
        answer("POST", "/auth/token", 401, &error("invalid_client", "Cliente desconhecido"))
            .asked("client_id=guess"),
        answer("POST", "/auth/token", 200, &token),
        answer("GET", &format!("{AUTO}/own-"), 200, &data),
        answer("GET", QUALIFICATIONS, 401, &refused),
        answer("GET", &format!("{RESOURCES}?page=9"), 500, &error("500", trace)),
        answer("GET", &format!("{RESOURCES}?page=8"), 500, &error("500", "Tente novamente")),
        answer("GET", RESOURCES, 200, &data),
        answer("GET", IDENTIFICATIONS, 200, &data),
        answer("POST", CONSENTS, 201, &consent),
        answer("GET", CONSENTS, 200, &consent),
        answer("PUT", CONSENTS, 200, &consent),
        answer("POST", LEADS, 422, &personal).asked("desconhecida"),
        answer("POST", LEADS, 422, &error("422", "Pessoa sem apolice")),
        answer("POST", QUOTES, 201, &json!({ "data": { "status": "RCVD" } })),
        answer("PATCH", QUOTES, 200, &json!({ "data": { "status": "ACKN" } })),
    ];
    for path in [SHADOW, OLD_CONSENTS, STATUS] {
        answers.push(answer("GET", path, 200, &data));
    }
    answers.into_iter().map(|Answer(answer)| answer).collect()
}

struct Answer(Value);

impl Answer {
    /// Only when the request's body contains this.
    fn asked(mut self, text: &str) -> Self {
        if let Some(members) = self.0.as_object_mut() {
            members.insert("asked".to_owned(), json!(text));
        }
        self
    }
}

fn answer(method: &str, target: &str, status: u16, body: &Value) -> Answer {
    Answer(json!({
        "method": method, "target": target, "status": status,
        "type": "application/json", "body": body.to_string(),
    }))
}

pub(crate) const AUTO: &str = "/open-insurance/insurance-auto/v1/insurance-auto";
pub(crate) const CONSENTS: &str = "/open-insurance/consents/v3/consents";
pub(crate) const IDENTIFICATIONS: &str = "/open-insurance/customers/v2/personal/identifications";
pub(crate) const LEADS: &str = "/open-insurance/quote-auto/v1/lead/request";
/// Nobody is let in here.
pub(crate) const QUALIFICATIONS: &str = "/open-insurance/customers/v2/personal/qualifications";
pub(crate) const QUOTES: &str = "/open-insurance/quote-auto/v1/request";
pub(crate) const RESOURCES: &str = "/open-insurance/resources/v3/resources";
/// No contract has it.
pub(crate) const SHADOW: &str = "/open-insurance/internal/v1/policies";
/// A version that no contract has.
pub(crate) const OLD_CONSENTS: &str = "/open-insurance/consents/v1/consents";
pub(crate) const STATUS: &str = "/open-insurance/discovery/v1/status";
