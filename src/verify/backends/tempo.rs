//! Tempo: traces by id (v2 API) and by TraceQL. Called through `Backends`.
//!
//! Trace by id is asked for as protobuf, which is what Tempo stores and OpenTelemetry defines: its JSON has ids in
//! base64, and field names that changed between versions.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span as OtlpSpan, TracesData};
use prost::Message;
use serde::Deserialize;

use super::http::Http;
use super::{Attributes, BackendError, LOOK_BACK_S, Span};

/// A Tempo query API.
#[derive(Debug, Clone)]
pub(crate) struct Tempo {
    http: Http,
}

/// Answer to a trace by id; further fields (metrics, status) are not asked about.
#[derive(Clone, PartialEq, Message)]
struct TraceById {
    #[prost(message, optional, tag = "1")]
    trace: Option<TracesData>,
}

#[derive(Deserialize)]
struct SearchAnswer {
    #[serde(default)]
    traces: Vec<FoundTrace>,
}

#[derive(Deserialize)]
struct FoundTrace {
    #[serde(rename = "traceID")]
    trace_id: String,
}

impl Tempo {
    /// The query API at an address.
    pub(crate) fn new(http: Http) -> Self {
        Self { http }
    }

    /// Whether it answers queries.
    pub(crate) async fn ready(&self) -> Result<(), BackendError> {
        self.search("{ name = \"signalbox verify asks whether you are there\" }").await.map(drop)
    }

    /// Every span of a trace; empty when unknown.
    pub(crate) async fn trace(&self, trace_id: &str) -> Result<Vec<Span>, BackendError> {
        let path = format!("/api/v2/traces/{trace_id}");
        let Some(bytes) = self.http.get_bytes(&path, "application/protobuf").await? else { return Ok(Vec::new()) };
        let answer = TraceById::decode(bytes.as_slice())
            .map_err(|source| BackendError::Protobuf { url: format!("{}{path}", self.http.base()), source })?;
        Ok(answer.trace.map(spans).unwrap_or_default())
    }

    /// Ids of traces in which one span of the service has the attribute.
    pub(crate) async fn traces_with(
        &self,
        service: &str,
        (key, value): (&str, &str),
    ) -> Result<Vec<String>, BackendError> {
        self.search(&format!("{{ resource.service.name = \"{service}\" && span.{key} = \"{value}\" }}")).await
    }

    async fn search(&self, traceql: &str) -> Result<Vec<String>, BackendError> {
        let now = super::super::unix_ms() / 1000.0;
        let (start, end) = (format!("{:.0}", now - f64::from(LOOK_BACK_S)), format!("{:.0}", now + 10.0));
        let query = [("q", traceql), ("start", &start), ("end", &end), ("limit", "200")];
        let answer: SearchAnswer = self.http.get("/api/search", &query).await?;
        // Tempo leaves out leading zeros here.
        Ok(answer.traces.into_iter().map(|trace| format!("{:0>32}", trace.trace_id)).collect())
    }
}

fn spans(trace: TracesData) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in trace.resource_spans {
        let service = service(of_resource.resource.unwrap_or_default());
        let all = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        spans.extend(all.map(|of_service| span(of_service, &service)));
    }
    spans
}

fn service(resource: Resource) -> String {
    attributes(resource.attributes).remove("service.name").unwrap_or_default()
}

fn span(span: OtlpSpan, service: &str) -> Span {
    let kind = span.kind().as_str_name().trim_start_matches("SPAN_KIND_").to_owned();
    let status = span.status.as_ref().map_or(StatusCode::Unset, |status| status.code());
    Span {
        id: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        name: span.name,
        kind,
        service: service.to_owned(),
        status: status.as_str_name().trim_start_matches("STATUS_CODE_").to_owned(),
        attributes: attributes(span.attributes),
        events: span.events.into_iter().map(|event| (event.name, attributes(event.attributes))).collect(),
    }
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    pairs.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Any::StringValue(text)) => text,
        Some(Any::BoolValue(value)) => value.to_string(),
        Some(Any::IntValue(value)) => value.to_string(),
        Some(Any::DoubleValue(value)) => value.to_string(),
        // No promised attribute has another type.
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
