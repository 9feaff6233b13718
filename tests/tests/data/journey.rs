//! One consent from its creation to its end, as the calls of a transmitting participant's node.

use std::process::Command;

use anyhow::{Result, ensure};
pub(crate) use mop_tests::{
    RECEIVER_ORGANISATION as CLIENT_ORGANISATION, RECEIVER_SOFTWARE as CLIENT_SOFTWARE,
    TRANSMITTER_BRAND as SERVER_BRAND, TRANSMITTER_ORGANISATION as SERVER_ORGANISATION,
};
use serde_json::{Value, json};

pub(crate) const HOST: &str = "api.seguradora.example";
pub(crate) const CONSENT: &str = "urn:seguradora:C1DD33123";
/// Tokens and codes: none of them may be in what comes out.
pub(crate) const SECRETS: [&str; 6] = [
    "client-token-5e1f",
    "consent-token-77aa",
    "fresh-token-19bc",
    "refresh-0de1",
    "code-4f4f",
    "urn:ietf:params:oauth:request_uri:9f9f",
];

/// Makes lines of `.exchanges.jsonl`.
pub(crate) struct Journey {
    certificate: String,
    lines: Vec<Value>,
}

/// A call of a journey.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) request: Body<'a>,
    pub(crate) status: u16,
    pub(crate) location: Option<&'a str>,
    pub(crate) response: Value,
}

/// A request's body.
pub(crate) enum Body<'a> {
    None,
    Form(&'a str),
    Json(Value),
}

impl Journey {
    /// With a certificate as the ecosystem issues it.
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("client.pem");
        let subject = format!(
            "/CN=receptora.example/organizationIdentifier=OPIBR-{CLIENT_ORGANISATION}/UID={CLIENT_SOFTWARE}"
        );
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "30"]);
        command.args(["-subj", &subject, "-keyout", "/dev/null", "-out"]).arg(&file);
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(Self { certificate: std::fs::read_to_string(file)?, lines: Vec::new() })
    }

    /// One call, a second after the one before.
    pub(crate) fn call(&mut self, call: Call<'_>) {
        let number = self.lines.len();
        let mut headers = vec![json!(["host", HOST])];
        let mut text = None;
        match call.request {
            Body::None => {}
            Body::Form(form) => {
                headers.push(json!(["content-type", "application/x-www-form-urlencoded"]));
                text = Some(form.to_owned());
            }
            Body::Json(value) => {
                headers.push(json!(["content-type", "application/json"]));
                text = Some(value.to_string());
            }
        }
        if let Some(token) = call.token {
            headers.push(json!(["authorization", format!("Bearer {token}")]));
        }
        headers.push(json!([
            "x-fapi-interaction-id",
            format!("00000000-0000-4000-8000-{number:012}")
        ]));
        let mut answered = vec![json!(["content-type", "application/json"])];
        answered.extend(call.location.map(|location| json!(["location", location])));
        let body = match &call.response {
            Value::Null => Value::Null,
            value => value.to_string().into(),
        };
        self.lines.push(json!({
            "id": format!("e{number}"),
            "ts": format!("2026-11-24T12:{:02}:{:02}Z", number / 60, number % 60),
            "duration_ms": 12,
            "role": "server",
            "client": { "ip": "10.0.0.7", "port": 40_112, "cert_pem": self.certificate },
            "server": { "ip": "10.0.0.1", "port": 443 },
            "request": { "method": call.method, "target": call.target, "headers": headers, "body": text },
            "response": { "status": call.status, "headers": answered, "body": body },
        }));
    }

    /// A consent for data: created, authorized, used, refreshed and revoked.
    pub(crate) fn of_data(&mut self) {
        let [client, token, fresh, refresh, code, request_uri] = SECRETS;
        let consents = "/open-insurance/consents/v3/consents";
        let one = format!("{consents}/{CONSENT}");
        let permissions = ["RESOURCES_READ", "CUSTOMERS_PERSONAL_IDENTIFICATIONS_READ"];
        let consent = |status: &str| {
            json!({ "data": {
                "consentId": CONSENT,
                "status": status,
                "permissions": permissions,
                "creationDateTime": "2026-11-24T12:00:00Z",
                "statusUpdateDateTime": "2026-11-24T12:00:00Z",
                "expirationDateTime": "2027-11-24T12:00:00Z",
            }})
        };
        let get = |target: &'static str| (target, 200);
        self.call(Call {
            method: "POST",
            target: "/oauth/token",
            token: None,
            request: Body::Form("grant_type=client_credentials&scope=consents"),
            status: 200,
            location: None,
            response: json!({ "access_token": client, "token_type": "Bearer", "expires_in": 300 }),
        });
        self.call(Call {
            method: "POST",
            target: consents,
            token: Some(client),
            request: Body::Json(json!({ "data": { "permissions": permissions } })),
            status: 201,
            location: None,
            response: consent("AWAITING_AUTHORISATION"),
        });
        self.call(Call {
            method: "POST",
            target: "/oauth/par",
            token: None,
            request: Body::Form(&format!(
                "response_type=code&client_id=c&scope=openid%20consent%3A{}&state=s1",
                CONSENT.replace(':', "%3A")
            )),
            status: 201,
            location: None,
            response: json!({ "request_uri": request_uri, "expires_in": 60 }),
        });
        self.call(Call {
            method: "GET",
            target: &format!(
                "/oauth/authorize?client_id=c&request_uri={}",
                request_uri.replace(':', "%3A")
            ),
            token: None,
            request: Body::None,
            status: 200,
            location: None,
            response: Value::Null,
        });
        self.call(Call {
            method: "POST",
            target: "/oauth/login",
            token: None,
            request: Body::Form("user=x&password=y"),
            status: 303,
            location: Some(&format!("https://receptora.example/back?code={code}&state=s1")),
            response: Value::Null,
        });
        self.call(Call {
            method: "POST",
            target: "/oauth/token",
            token: None,
            request: Body::Form(&format!("grant_type=authorization_code&code={code}")),
            status: 200,
            location: None,
            response: json!({
                "access_token": token, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 300,
            }),
        });
        self.call(Call {
            method: "GET",
            target: &one,
            token: Some(client),
            request: Body::None,
            status: 200,
            location: None,
            response: consent("AUTHORISED"),
        });
        for (target, status) in [
            get("/open-insurance/resources/v3/resources?page=1"),
            get("/open-insurance/customers/v2/personal/identifications"),
        ] {
            self.call(Call {
                method: "GET",
                target,
                token: Some(token),
                request: Body::None,
                status,
                location: None,
                response: json!({ "data": [] }),
            });
        }
        self.call(Call {
            method: "POST",
            target: "/oauth/token",
            token: None,
            request: Body::Form(&format!("grant_type=refresh_token&refresh_token={refresh}")),
            status: 200,
            location: None,
            response: json!({ "access_token": fresh, "token_type": "Bearer", "expires_in": 300 }),
        });
        self.call(Call {
            method: "GET",
            target: "/open-insurance/resources/v3/resources",
            token: Some(fresh),
            request: Body::None,
            status: 200,
            location: None,
            response: json!({ "data": [] }),
        });
        self.call(Call {
            method: "DELETE",
            target: &one,
            token: Some(client),
            request: Body::None,
            status: 204,
            location: None,
            response: Value::Null,
        });
    }

    /// As a file.
    pub(crate) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// The configuration of the transmitting participant.
pub(crate) fn configuration() -> String {
    format!(
        "[data]\nfunnel = {{ consent_user = \"user\", infer = true }}\n\n\
         [[data.servers]]\nhosts = [\"{HOST}\"]\norganisation_id = \"{SERVER_ORGANISATION}\"\n\
         authorisation_server_id = \"{SERVER_BRAND}\"\n"
    )
}
