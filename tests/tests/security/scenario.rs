//! What one client does, and what is to be found of it.

use serde_json::{Value, json};

/// An attack, and its twin: calls that are as like it as calls of an honest client can be.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Rules that must be found in the attack.
    pub(crate) expected: &'static [&'static str],
    pub(crate) attack: Vec<Call>,
    pub(crate) twin: Vec<Call>,
}

/// A call as the caller's script has it.
pub(crate) struct Call(pub(crate) Value);

/// Who makes a call of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Whom the findings are of.
    Client,
    /// Whose token another one gets hold of.
    Victim,
}

impl Who {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Victim => "victim",
        }
    }
}

impl Call {
    pub(crate) fn get(target: &str, wanted: u16) -> Self {
        Self::of("GET", target, wanted)
    }

    pub(crate) fn of(method: &str, target: &str, wanted: u16) -> Self {
        Self(json!({
            "client": Who::Client.name(), "method": method, "target": target, "wanted": wanted,
        }))
    }

    /// A request for a token, with an assertion of this algorithm.
    pub(crate) fn token(client: &str, algorithm: &str, wanted: u16) -> Self {
        Self::of("POST", "/auth/token", wanted).with(
            "form",
            json!({
                "grant_type": "client_credentials",
                "scope": "consents",
                "client_id": client,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": { "alg": algorithm, "lives": 60 },
            }),
        )
    }

    /// With the token that was granted last.
    pub(crate) fn granted(self) -> Self {
        self.with("bearer", json!("granted"))
    }

    /// With a signed token.
    pub(crate) fn bearer(self, algorithm: &str, lives_s: i64) -> Self {
        self.with("bearer", json!({ "alg": algorithm, "lives": lives_s }))
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.with("json", body)
    }

    pub(crate) fn agent(self, agent: &str) -> Self {
        self.with("agent", json!(agent))
    }

    pub(crate) fn times(self, count: u32) -> Self {
        self.with("repeat", json!(count))
    }

    /// With so long a pause after each.
    pub(crate) fn pause(self, seconds: f64) -> Self {
        self.with("pause", json!(seconds))
    }

    pub(crate) fn by(self, who: Who) -> Self {
        self.with("client", json!(who.name()))
    }

    fn with(mut self, member: &str, value: Value) -> Self {
        if let Some(members) = self.0.as_object_mut() {
            members.insert(member.to_owned(), value);
        }
        self
    }
}
