//! What the store of profiles promises: bounds, merging, and an answer to whatever bytes come.

use std::io::Write;

use proptest::prelude::*;
use prost::Message;

use super::flame::{Filter, merge};
use super::pprof::{Function, Label, Line, Location, PprofProfile, Sample, SeriesLabels, ValueType, read};
use super::push::profiles;
use super::*;

const SPAN: &str = "00f067aa0ba902b7";

/// A message with stacks from the root to the leaf, each with a value and perhaps a span.
fn message(stacks: &[(&[&str], i64, Option<&str>)]) -> PprofProfile {
    let mut pprof = PprofProfile {
        string_table: ["", "cpu", "nanoseconds", "span_id", "span_name", "GET /work"].map(str::to_owned).to_vec(),
        sample_type: vec![ValueType { kind: 1, unit: 2 }],
        period_type: Some(ValueType { kind: 1, unit: 2 }),
        period: 10,
        time_nanos: 1_000,
        duration_nanos: 500,
        ..PprofProfile::default()
    };
    for (functions, value, span) in stacks {
        let mut sample = Sample { value: vec![*value], ..Sample::default() };
        for function in functions.iter().rev() {
            let id = pprof.function.len() as u64 + 1;
            pprof.function.push(Function { id, name: pprof.string_table.len() as i64 });
            pprof.string_table.push((*function).to_owned());
            pprof.location.push(Location { id, address: 0, line: vec![Line { function_id: id }] });
            sample.location_id.push(id);
        }
        if let Some(span) = span {
            sample.label.push(Label { key: 3, text: pprof.string_table.len() as i64 });
            sample.label.push(Label { key: 4, text: 5 });
            pprof.string_table.push((*span).to_owned());
        }
        pprof.sample.push(sample);
    }
    pprof
}

fn labels() -> SeriesLabels {
    [("__name__", "process_cpu"), ("service_name", "shop")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

fn profile(stacks: &[(&[&str], i64, Option<&str>)]) -> Profile {
    read(&message(stacks).encode_to_vec(), &labels(), 7).unwrap()
}

const UNBOUND: Limit = Limit { count: usize::MAX, bytes: usize::MAX };

fn kept(stacks: &[(&[&str], i64, Option<&str>)]) -> Vec<Arc<Profile>> {
    let mut store = Profiles::new(UNBOUND);
    store.add(vec![profile(stacks), profile(stacks)]);
    store.all()
}

#[test]
fn stacks_of_several_profiles_merge_by_name_and_a_span_has_its_own() {
    let all = kept(&[(&["main", "work", "hash"], 30, Some(SPAN)), (&["main", "idle"], 20, None)]);
    let whole = merge(&all, &Filter::default()).json(100);
    assert_eq!(
        (whole["total"].as_i64(), whole["samples"].as_i64(), whole["depth"].as_u64()),
        (Some(100), Some(10), Some(3))
    );
    assert_eq!(whole["type"], "process_cpu:cpu:nanoseconds:cpu:nanoseconds");
    let nodes = whole["nodes"].as_array().unwrap();
    let main = &nodes[1];
    assert_eq!(
        (main["name"].as_str(), main["total"].as_i64(), main["self"].as_i64()),
        (Some("main"), Some(100), Some(0))
    );
    assert_eq!((main["parent"].as_u64(), nodes[0]["parent"].as_u64()), (Some(0), None));
    assert_eq!((nodes[2]["name"].as_str(), nodes[2]["parent"].as_u64()), (Some("work"), Some(1)), "the larger first");

    let span = Filter { span: crate::console::model::unhex(SPAN), ..Filter::default() };
    assert_eq!(merge(&all, &span).total(), 60);
    assert_eq!(merge(&all, &Filter { span: Some([1; 8]), ..Filter::default() }).total(), 0);
    assert_eq!(merge(&all, &Filter { span_name: Some("GET /work".to_owned()), ..Filter::default() }).total(), 60);
    assert_eq!(merge(&all, &Filter { service: Some("other".to_owned()), ..Filter::default() }).total(), 0);
    assert_eq!(merge(&all, &Filter { from: Some(1_501), ..Filter::default() }).total(), 0);
    assert_eq!(merge(&all, &Filter { until: Some(999), ..Filter::default() }).total(), 0);
}

#[test]
fn functions_beyond_the_most_become_other_and_nothing_is_lost() {
    let all = kept(&[(&["a"], 50, None), (&["b"], 30, None), (&["c"], 10, None), (&["d"], 5, None)]);
    let json = merge(&all, &Filter::default()).json(3);
    let nodes = json["nodes"].as_array().unwrap();
    let named: Vec<_> =
        nodes.iter().map(|node| (node["name"].as_str().unwrap(), node["total"].as_i64().unwrap())).collect();
    assert_eq!(named, [("total", 95), ("other", 15), ("a", 50), ("b", 30)].map(|(name, total)| (name, 2 * total)));
}

#[test]
fn the_oldest_goes_first_by_count_and_by_bytes_and_the_books_balance() {
    let one = profile(&[(&["main"], 10, None)]);
    for limit in [Limit { count: 3, bytes: usize::MAX }, Limit { count: usize::MAX, bytes: 3 * one.bytes() + 1 }] {
        let mut store = Profiles::new(limit);
        for n in 0..10 {
            let mut next = one.clone();
            next.from = n;
            store.add(vec![next]);
            assert!(store.len() <= 3 && store.counts().bytes <= limit.bytes);
            assert_eq!(store.counts().received, store.len() as u64 + store.counts().evicted);
        }
        let times: Vec<u64> = store.all().iter().map(|profile| profile.from).collect();
        assert_eq!(times, [7, 8, 9]);
    }
}

#[test]
fn a_drawing_holds_the_functions_and_no_markup_of_their_names() {
    let all = kept(&[(&["main", "<script>alert(1)</script>", "with;semicolon 12"], 30, None)]);
    let flame = merge(&all, &Filter::default());
    let svg = String::from_utf8(flame.svg("a & b", true).unwrap()).unwrap();
    assert!(svg.contains("main") && svg.contains("with:semicolon 12") && svg.contains("a &amp; b"));
    assert!(!svg.contains("<script>alert"), "a function's name became markup");
    assert!(merge(&[], &Filter::default()).svg("nothing", true).is_none());
}

#[test]
fn what_contradicts_itself_is_refused_with_the_reason() {
    let reason = |change: &dyn Fn(&mut PprofProfile)| {
        let mut pprof = message(&[(&["main"], 10, None)]);
        change(&mut pprof);
        read(&pprof.encode_to_vec(), &labels(), 7).unwrap_err()
    };
    assert!(reason(&|p| p.location.clear()).contains("names location 1, which is not there"));
    assert!(reason(&|p| p.function.clear()).contains("names function 1, which is not there"));
    assert!(reason(&|p| p.string_table.clear()).contains("is not in the table"));
    assert!(reason(&|p| p.sample_type.clear()).contains("no sample_type"));
    assert!(reason(&|p| p.sample[0].value.push(1)).contains("2 values for 1 sample types"));
    assert!(read(&[], &SeriesLabels::new(), 7).unwrap_err().contains("service_name"));
}

#[test]
fn stacks_that_would_grow_in_memory_are_bounded() {
    let mut pprof = message(&[(&["main"], 10, None)]);
    pprof.location[0].line = vec![Line { function_id: 1 }; 100_000];
    let deep = read(&pprof.encode_to_vec(), &labels(), 7).unwrap();
    assert_eq!(merge(&[Arc::new(deep)], &Filter::default()).depth, 512);
    pprof.sample = vec![pprof.sample[0].clone(); 10_000];
    assert!(read(&pprof.encode_to_vec(), &labels(), 7).unwrap_err().contains("frames"));
}

#[derive(Clone, PartialEq, Message)]
struct Push {
    #[prost(message, repeated, tag = "1")]
    series: Vec<PushSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct PushSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Pair>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Raw>,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Raw {
    #[prost(bytes = "vec", tag = "1")]
    raw_profile: Vec<u8>,
}

fn pushed(raw_profile: Vec<u8>) -> Vec<u8> {
    let labels = labels().into_iter().map(|(name, value)| Pair { name, value }).collect();
    Push { series: vec![PushSeries { labels, samples: vec![Raw { raw_profile }] }] }.encode_to_vec()
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_profile_may_be_packed_but_no_bomb() {
    let plain = message(&[(&["main"], 10, None)]).encode_to_vec();
    assert_eq!(profiles(&pushed(zipped(&plain)), 7).ok().unwrap().len(), 1);
    let bomb = pushed(zipped(&vec![0; 64 << 20]));
    assert!(bomb.len() < 1 << 20);
    assert_eq!(profiles(&bomb, 7).err().unwrap().0, axum::http::StatusCode::PAYLOAD_TOO_LARGE);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn whatever_bytes_come_there_is_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = profiles(&bytes, 7);
        let _ = profiles(&pushed(bytes), 7);
    }

    #[test]
    fn a_valid_push_with_broken_bytes_gets_an_answer_and_what_is_taken_can_be_drawn(
        breaks in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let mut bytes = message(&[(&["main", "work"], 30, Some(SPAN)), (&["main", "idle"], 20, None)]).encode_to_vec();
        for (index, byte) in breaks {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(taken) = profiles(&pushed(bytes), 7) {
            let all: Vec<_> = taken.into_iter().map(Arc::new).collect();
            let flame = merge(&all, &Filter::default());
            let _ = (flame.json(10), flame.svg("any", false), list(&all));
        }
    }
}
