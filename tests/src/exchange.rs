//! One exchange as MOP reports it.

use serde_json::Value;

/// A record of kind `exchange`.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    record: Value,
}

/// The request or the response of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    record: &'a Value,
}

impl Exchange {
    /// The exchange in a record, unless it is of another kind.
    #[must_use]
    pub fn from_record(record: &Value) -> Option<Self> {
        (record["kind"] == "exchange").then(|| Self { record: record.clone() })
    }

    /// The whole record.
    #[must_use]
    pub fn record(&self) -> &Value {
        &self.record
    }

    /// `server` or `client`.
    #[must_use]
    pub fn role(&self) -> &str {
        self.text("/role")
    }

    /// The process that was observed.
    #[must_use]
    pub fn pid(&self) -> u64 {
        self.number("/process/pid")
    }

    /// `tls` or `socket`.
    #[must_use]
    pub fn layer(&self) -> &str {
        self.text("/transport/layer")
    }

    /// The TLS library, or nothing.
    #[must_use]
    pub fn library(&self) -> &str {
        self.text("/transport/library")
    }

    /// The target of the request, or nothing when no request was seen.
    #[must_use]
    pub fn target(&self) -> &str {
        self.text("/request/target")
    }

    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &str {
        self.text("/request/method")
    }

    /// The status of the response; 0 when there is none.
    #[must_use]
    pub fn status(&self) -> u64 {
        self.number("/response/status")
    }

    /// How it ended.
    #[must_use]
    pub fn ending(&self) -> &str {
        self.text("/completeness/ending")
    }

    /// Whether every byte of both messages was captured.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.record.pointer("/completeness/complete").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Address of the client.
    #[must_use]
    pub fn client_ip(&self) -> &str {
        self.text("/client/ip")
    }

    /// Port of the client; 0 when the socket is not known.
    #[must_use]
    pub fn client_port(&self) -> u64 {
        self.number("/client/port")
    }

    /// Address of the server.
    #[must_use]
    pub fn server_ip(&self) -> &str {
        self.text("/server/ip")
    }

    /// Port of the server; 0 when the socket is not known.
    #[must_use]
    pub fn server_port(&self) -> u64 {
        self.number("/server/port")
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> Message<'_> {
        Message { record: &self.record["request"] }
    }

    /// The response.
    #[must_use]
    pub fn response(&self) -> Message<'_> {
        Message { record: &self.record["response"] }
    }

    fn text(&self, pointer: &str) -> &str {
        self.record.pointer(pointer).and_then(Value::as_str).unwrap_or("")
    }

    fn number(&self, pointer: &str) -> u64 {
        self.record.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }
}

impl<'a> Message<'a> {
    /// Whether the message was seen at all.
    #[must_use]
    pub fn seen(&self) -> bool {
        self.record.is_object()
    }

    /// Length of the body without its transfer coding.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.record.pointer("/body/bytes").and_then(Value::as_u64).unwrap_or(0)
    }

    /// Bytes of the body that were not captured.
    #[must_use]
    pub fn missing_bytes(&self) -> u64 {
        self.record.pointer("/body/missing").and_then(Value::as_u64).unwrap_or(0)
    }

    /// SHA-256 of the body, or nothing when it is not known.
    #[must_use]
    pub fn sha256(&self) -> &'a str {
        self.record.pointer("/body/sha256").and_then(Value::as_str).unwrap_or("")
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.record["headers"].as_array()?.iter().find_map(|header| {
            header[0]
                .as_str()
                .filter(|found| found.eq_ignore_ascii_case(name))
                .and_then(|_| header[1].as_str())
        })
    }
}
