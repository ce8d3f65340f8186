//! X-Ray: segments of a trace by the AWS API, and a segment sent through its daemon. Called by `aws_checks`.
//! X-Ray keeps neither span names nor events as they were, so it cannot answer for `Backends`.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::telemetry::names::SERVICE_VERIFY;

use super::BackendError;
use super::aws::Aws;

/// X-Ray of an account.
#[derive(Debug, Clone)]
pub(crate) struct XRay {
    aws: Aws,
}

/// What a segment or subsegment says of a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Segment {
    /// 16 hex digits: the span's id.
    pub(crate) id: String,
    /// The parent's id.
    pub(crate) parent_id: Option<String>,
    /// Name of the service.
    #[serde(default)]
    pub(crate) name: String,
    /// `true` for 5xx.
    #[serde(default)]
    pub(crate) fault: bool,
    /// `true` for 4xx.
    #[serde(default)]
    pub(crate) error: bool,
    /// Request and response.
    #[serde(default)]
    pub(crate) http: SegmentHttp,
}

/// HTTP of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct SegmentHttp {
    #[serde(default)]
    request: SegmentRequest,
    #[serde(default)]
    response: SegmentResponse,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct SegmentRequest {
    method: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct SegmentResponse {
    status: Option<u16>,
}

impl Segment {
    /// HTTP method, where it is a request.
    pub(crate) fn method(&self) -> Option<&str> {
        self.http.request.method.as_deref()
    }

    /// HTTP status, where it has an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.http.response.status
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    traces: Vec<Trace>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Trace {
    #[serde(default)]
    segments: Vec<Document>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    document: String,
}

/// X-Ray's way to write a trace id.
pub(crate) fn trace_id(id: &str) -> String {
    format!("1-{}-{}", id.get(..8).unwrap_or_default(), id.get(8..).unwrap_or_default())
}

/// The segment of a document and every subsegment inside it; what is no segment is left out.
fn segments(document: &Value, into: &mut Vec<Segment>) {
    into.extend(Segment::deserialize(document).ok());
    for inner in document.get("subsegments").and_then(Value::as_array).into_iter().flatten() {
        segments(inner, into);
    }
}

impl XRay {
    /// X-Ray of the account that the environment describes.
    ///
    /// # Errors
    /// As [`Aws::there`].
    pub(crate) async fn there() -> Result<Self, String> {
        Ok(Self { aws: Aws::there("xray").await? })
    }

    /// The address.
    pub(crate) fn address(&self) -> &str {
        self.aws.address()
    }

    /// Every segment of a trace, given with its OpenTelemetry id; empty when unknown.
    pub(crate) async fn trace(&self, id: &str) -> Result<Vec<Segment>, BackendError> {
        let answer: Answer = self.aws.post("/Traces", None, &json!({ "TraceIds": [trace_id(id)] })).await?;
        let mut found = Vec::new();
        for document in answer.traces.iter().flat_map(|trace| &trace.segments) {
            let document = serde_json::from_str(&document.document)
                .map_err(|source| BackendError::Shape { url: format!("{}/Traces", self.address()), source })?;
            segments(&document, &mut found);
        }
        Ok(found)
    }
}

/// Sends a segment of a trace to the daemon at `address` (`HOST:PORT`, UDP).
pub(crate) async fn send_through_daemon(address: &str, id: &str, segment_id: &str) -> std::io::Result<()> {
    let now = super::super::unix_ms() / 1000.0;
    let segment = json!({
        "name": SERVICE_VERIFY, "id": segment_id, "trace_id": trace_id(id),
        "start_time": now - 0.01, "end_time": now,
    });
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let text = format!("{{\"format\": \"json\", \"version\": 1}}\n{segment}");
    socket.send_to(text.as_bytes(), address).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_has_its_time_apart() {
        assert_eq!(trace_id("5759e988bd862e3fe1be46a994272793"), "1-5759e988-bd862e3fe1be46a994272793");
    }

    #[test]
    fn subsegments_are_found_inside_their_segment() {
        let document = json!({
            "id": "aa", "name": "signalbox-app", "fault": true,
            "http": {"request": {"method": "GET"}, "response": {"status": 503}},
            "subsegments": [{"id": "bb", "name": "SELECT tasks", "subsegments": [{"id": "cc"}]}],
        });
        let mut found = Vec::new();
        segments(&document, &mut found);
        assert_eq!(found.iter().map(|segment| segment.id.as_str()).collect::<Vec<_>>(), ["aa", "bb", "cc"]);
        assert_eq!((found[0].method(), found[0].status(), found[0].fault), (Some("GET"), Some(503), true));
    }
}
