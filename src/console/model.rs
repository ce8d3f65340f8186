//! What the console keeps: spans and log records here, metric points in `model_metrics`; compact and free of protobuf.
//! Made by `convert`, held by `store`, read by `query`. No I/O, no locks, no decoding in here.
//!
//! **Bytes of a record** are estimated from above, never below: the size of the struct, plus for each heap block its
//! length rounded up to 16 and 16 more for the allocator, plus a fixed share of the index that finds the record.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use serde_json::{Map, Value as Json};

pub(crate) use super::model_metrics::{
    Exemplar, Explicit, Exponential, Kind, Point, PointValue, SeriesMeta, Summary, Temporality,
};

/// A trace's id.
pub(crate) type TraceId = [u8; 16];
/// A span's id.
pub(crate) type SpanId = [u8; 8];

/// Estimated cost of one heap block of `bytes`: rounded up, plus the allocator's own; nothing when empty.
pub(crate) fn block(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes.next_multiple_of(16) + 16 }
}

/// A float compared by its bits, so that attribute sets can be hashed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Float(pub(crate) f64);

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}
impl Eq for Float {}
impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// An attribute's value or a log's body.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    /// No value.
    Empty,
    /// Text.
    Text(Box<str>),
    /// Truth.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Number.
    Double(Float),
    /// Bytes; shown as hex.
    Bytes(Box<[u8]>),
    /// List.
    List(Box<[Value]>),
    /// Named values.
    Map(Attributes),
}

impl Value {
    /// The value as JSON; numbers that JSON lacks (NaN) become null.
    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Empty => Json::Null,
            Self::Text(text) => Json::from(&**text),
            Self::Bool(truth) => Json::from(*truth),
            Self::Int(number) => Json::from(*number),
            Self::Double(number) => Json::from(number.0),
            Self::Bytes(bytes) => Json::from(hex(bytes)),
            Self::List(values) => values.iter().map(Self::json).collect(),
            Self::Map(attributes) => attributes.json(),
        }
    }

    /// The value as text, as filters compare it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => text.to_string(),
            other => other.json().to_string(),
        }
    }

    /// Whether the text of this value is `text`.
    pub(crate) fn is(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => &**own == text,
            other => other.text() == text,
        }
    }

    /// Heap bytes.
    pub(crate) fn heap(&self) -> usize {
        match self {
            Self::Empty | Self::Bool(_) | Self::Int(_) | Self::Double(_) => 0,
            Self::Text(text) => block(text.len()),
            Self::Bytes(bytes) => block(bytes.len()),
            Self::List(values) => block(size_of_val(&**values)) + values.iter().map(Self::heap).sum::<usize>(),
            Self::Map(attributes) => attributes.heap(),
        }
    }
}

/// Named values, in the order given (sorted for metric series).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Attributes(pub(crate) Box<[(Box<str>, Value)]>);

impl Attributes {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| &**name == key).map(|(_, value)| value)
    }

    /// As a JSON object.
    pub(crate) fn json(&self) -> Json {
        Json::Object(self.0.iter().map(|(key, value)| (key.to_string(), value.json())).collect::<Map<_, _>>())
    }

    /// Heap bytes.
    pub(crate) fn heap(&self) -> usize {
        block(size_of_val(&*self.0)) + self.0.iter().map(|(k, v)| block(k.len()) + v.heap()).sum::<usize>()
    }
}

/// Who sent a record: resource and scope, shared by all records that have the same.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// `service.name`, or `unknown_service`.
    pub(crate) service: Box<str>,
    /// The resource's attributes.
    pub(crate) resource: Attributes,
    /// The scope's name.
    pub(crate) scope: Box<str>,
    /// Hash of the three above, taken outside of the store's lock.
    pub(crate) hash: u64,
    /// Estimated bytes.
    pub(crate) bytes: usize,
    /// How many stored records point here; changed by the store only.
    pub(super) refs: AtomicUsize,
    /// When the newest record came in, unix nanoseconds.
    pub(super) last_seen: AtomicU64,
}

impl Origin {
    /// An origin with its hash and bytes.
    pub(crate) fn new(resource: Attributes, scope: Box<str>) -> Self {
        let service: Box<str> = match resource.get("service.name") {
            Some(value) => value.text().into(),
            None => "unknown_service".into(),
        };
        let mut hasher = std::hash::DefaultHasher::new();
        (&resource, &scope).hash(&mut hasher);
        let heap = block(service.len()) + resource.heap() + block(scope.len());
        // 64 is the table's share.
        let bytes = block(size_of::<Self>() + 16) + heap + 64;
        Self { service, resource, scope, hash: hasher.finish(), bytes, ..Self::default() }
    }

    /// Whether both say the same.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.hash == other.hash && self.scope == other.scope && self.resource == other.resource
    }
}

/// Something that happened in a span.
#[derive(Debug, Clone)]
pub(crate) struct SpanEvent {
    /// Name.
    pub(crate) name: Box<str>,
    /// Unix nanoseconds.
    pub(crate) time: u64,
    /// Attributes.
    pub(crate) attributes: Attributes,
}

/// A pointer from a span to another.
#[derive(Debug, Clone)]
pub(crate) struct SpanLink {
    /// The other's trace.
    pub(crate) trace_id: TraceId,
    /// The other.
    pub(crate) span_id: SpanId,
    /// Attributes.
    pub(crate) attributes: Attributes,
}

/// One span.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// Its trace.
    pub(crate) trace_id: TraceId,
    /// Its id.
    pub(crate) span_id: SpanId,
    /// Its parent; none for a root.
    pub(crate) parent: Option<SpanId>,
    /// Name.
    pub(crate) name: Box<str>,
    /// OTLP's `SpanKind`.
    pub(crate) kind: i32,
    /// Unix nanoseconds.
    pub(crate) start: u64,
    /// Unix nanoseconds.
    pub(crate) end: u64,
    /// OTLP's status code: 0 unset, 1 ok, 2 error.
    pub(crate) status: i32,
    /// The status' message.
    pub(crate) message: Box<str>,
    /// Attributes.
    pub(crate) attributes: Attributes,
    /// Events.
    pub(crate) events: Box<[SpanEvent]>,
    /// Links.
    pub(crate) links: Box<[SpanLink]>,
    /// Who sent it.
    pub(crate) origin: Arc<Origin>,
}

impl Span {
    /// Milliseconds from start to end.
    pub(crate) fn duration_ms(&self) -> f64 {
        ms(self.end.saturating_sub(self.start))
    }
}

/// One log record.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    /// Unix nanoseconds.
    pub(crate) time: u64,
    /// OTLP's number, 0 (unspecified) to 24.
    pub(crate) severity: i32,
    /// The sender's own word for it.
    pub(crate) severity_text: Box<str>,
    /// Body.
    pub(crate) body: Value,
    /// Attributes.
    pub(crate) attributes: Attributes,
    /// The trace it was written in.
    pub(crate) trace_id: Option<TraceId>,
    /// The span it was written in.
    pub(crate) span_id: Option<SpanId>,
    /// Name of the event, where it is one.
    pub(crate) event: Option<Box<str>>,
    /// Who sent it.
    pub(crate) origin: Arc<Origin>,
}

/// What the store needs to know of a record to bound it.
pub(crate) trait Weigh {
    /// Estimated bytes, index share included, shared origin not.
    fn bytes(&self) -> usize;
}

impl Weigh for Span {
    fn bytes(&self) -> usize {
        let texts = block(self.name.len()) + block(self.message.len());
        let events = self.events.iter().map(|e| block(e.name.len()) + e.attributes.heap()).sum::<usize>();
        let links = self.links.iter().map(|l| l.attributes.heap()).sum::<usize>();
        let lists = block(size_of_val(&*self.events)) + block(size_of_val(&*self.links));
        size_of::<Self>() + texts + self.attributes.heap() + events + links + lists + 96
    }
}

impl Weigh for Log {
    fn bytes(&self) -> usize {
        let event = self.event.as_ref().map_or(0, |e| block(e.len()));
        let index = if self.trace_id.is_some() { 96 } else { 0 };
        size_of::<Self>() + block(self.severity_text.len()) + self.body.heap() + self.attributes.heap() + event + index
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Bytes from exactly `2 N` hex digits.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

/// Nanoseconds as milliseconds, as the API has times.
#[allow(clippy::cast_precision_loss, reason = "the API's times are f64 milliseconds")]
pub(crate) fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
