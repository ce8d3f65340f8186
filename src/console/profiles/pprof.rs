//! pprof messages (github.com/google/pprof, `profile.proto`: the fields that a flame graph needs) and their reading into
//! a [`Profile`]. Called by `push`. Whatever the bytes say, the outcome is a profile or a reason, of bounded size.

use std::collections::HashMap;

use prost::Message;

use super::{Measure, Profile, Row};
use crate::console::model::unhex;

/// Frames of a stack that are kept, counted from the root.
const MOST_DEPTH: usize = 512;
/// Frames of all stacks of one profile: 8 MiB in memory, far beyond what a sampler takes in minutes.
const MOST_FRAMES: usize = 2 << 20;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PprofProfile {
    #[prost(message, repeated, tag = "1")]
    pub(crate) sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    pub(crate) string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    pub(crate) time_nanos: i64,
    #[prost(int64, tag = "10")]
    pub(crate) duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    pub(crate) period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    pub(crate) period: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct ValueType {
    #[prost(int64, tag = "1")]
    pub(crate) kind: i64,
    #[prost(int64, tag = "2")]
    pub(crate) unit: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sample {
    /// From the leaf on.
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    pub(crate) value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) label: Vec<Label>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(int64, tag = "1")]
    pub(crate) key: i64,
    #[prost(int64, tag = "2")]
    pub(crate) text: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Location {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) address: u64,
    /// The innermost of inlined functions first.
    #[prost(message, repeated, tag = "4")]
    pub(crate) line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Line {
    #[prost(uint64, tag = "1")]
    pub(crate) function_id: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Function {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(int64, tag = "2")]
    pub(crate) name: i64,
}

/// Labels of the series that a profile was pushed in.
pub(crate) type SeriesLabels = HashMap<String, String>;

/// Names seen so far, each once.
#[derive(Default)]
struct Names {
    list: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }
}

impl PprofProfile {
    fn text(&self, index: i64) -> Result<&str, String> {
        let found = usize::try_from(index).ok().and_then(|index| self.string_table.get(index));
        found
            .map(String::as_str)
            .ok_or_else(|| format!("string {index} is not in the table of {}", self.string_table.len()))
    }

    fn measures(&self, name: &str) -> Result<Box<[Measure]>, String> {
        if self.sample_type.is_empty() {
            return Err("there is no sample_type".to_owned());
        }
        let period = self.period_type.unwrap_or_default();
        let (period_kind, period_unit) = (self.text_or_empty(period.kind)?, self.text_or_empty(period.unit)?);
        let measure = |kind: &ValueType| {
            let (text, unit) = (self.text(kind.kind)?, self.text(kind.unit)?);
            let period = if unit == period_unit { self.period.max(0) } else { 0 };
            let id = format!("{name}:{text}:{unit}:{period_kind}:{period_unit}").into();
            Ok(Measure { id, unit: unit.into(), period })
        };
        self.sample_type.iter().map(measure).collect()
    }

    /// 0 means absent, also where the table is empty.
    fn text_or_empty(&self, index: i64) -> Result<&str, String> {
        if index == 0 { Ok("") } else { self.text(index) }
    }

    /// Functions of each location from the caller to the callee, as numbers of names.
    fn locations(&self, names: &mut Names) -> Result<HashMap<u64, Vec<u32>>, String> {
        let mut functions = HashMap::with_capacity(self.function.len());
        for function in &self.function {
            functions.insert(function.id, names.number(self.text(function.name)?));
        }
        let mut locations = HashMap::with_capacity(self.location.len());
        for location in &self.location {
            let mut lines = Vec::with_capacity(location.line.len().max(1));
            for line in location.line.iter().rev() {
                let unknown =
                    || format!("location {} names function {}, which is not there", location.id, line.function_id);
                lines.push(*functions.get(&line.function_id).ok_or_else(unknown)?);
            }
            if lines.is_empty() {
                lines.push(names.number(&format!("{:#x}", location.address)));
            }
            locations.insert(location.id, lines);
        }
        Ok(locations)
    }
}

/// Reads a pprof message; `now` (unix nanoseconds) where it has no time.
///
/// # Errors
/// When it is no pprof message or contradicts itself; says why.
pub(crate) fn read(bytes: &[u8], labels: &SeriesLabels, now: u64) -> Result<Profile, String> {
    let pprof = PprofProfile::decode(bytes).map_err(|error| format!("the profile is not pprof: {error}"))?;
    let label = |names: &[&str]| names.iter().find_map(|name| labels.get(*name));
    let service = label(&["service_name", "service.name"]).ok_or("the series has no label service_name")?;
    let measures = pprof.measures(label(&["__name__"]).map_or("", String::as_str))?;
    let mut names = Names::default();
    let locations = pprof.locations(&mut names)?;
    let mut series = Row { end: 0, span: None, span_name: None, route: None };
    for (key, value) in labels {
        tag(&mut series, key, value, &mut names);
    }
    let (mut frames, mut rows, mut values) = (Vec::new(), Vec::with_capacity(pprof.sample.len()), Vec::new());
    for (index, sample) in pprof.sample.iter().enumerate() {
        if sample.value.len() != measures.len() {
            return Err(format!(
                "sample {index} has {} values for {} sample types",
                sample.value.len(),
                measures.len()
            ));
        }
        let begin = frames.len();
        'stack: for id in sample.location_id.iter().rev() {
            let unknown = || format!("sample {index} names location {id}, which is not there");
            for function in locations.get(id).ok_or_else(unknown)? {
                if frames.len() - begin == MOST_DEPTH {
                    break 'stack;
                }
                frames.push(*function);
            }
        }
        if frames.len() > MOST_FRAMES {
            return Err(format!("the stacks have more than {MOST_FRAMES} frames"));
        }
        let mut row = Row { end: u32::try_from(frames.len()).unwrap_or(u32::MAX), ..series.clone() };
        for label in &sample.label {
            tag(&mut row, pprof.text(label.key)?, pprof.text_or_empty(label.text)?, &mut names);
        }
        rows.push(row);
        values.extend(sample.value.iter().map(|value| (*value).max(0)));
    }
    let from = u64::try_from(pprof.time_nanos).ok().filter(|time| *time > 0).unwrap_or(now);
    Ok(Profile {
        service: service.as_str().into(),
        measures,
        from,
        until: from.saturating_add(u64::try_from(pprof.duration_nanos).unwrap_or(0)),
        names: names.list.into(),
        frames: frames.into(),
        rows: rows.into(),
        values: values.into(),
    })
}

/// Keeps what ties a row to a span; other labels have no use here.
fn tag(row: &mut Row, key: &str, value: &str, names: &mut Names) {
    match key {
        "span_id" | "profile_id" => row.span = unhex(value).or(row.span),
        "span_name" => row.span_name = Some(names.number(value)),
        "http_route" | "http.route" | "route" => row.route = Some(names.number(value)),
        _ => {}
    }
}
