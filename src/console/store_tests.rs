//! Tests of the store's bounds and books. Run by `cargo test --lib`.

use super::*;
use crate::console::model::{Attributes, Kind, Temporality, Value};

const NONE: Limit = Limit { count: usize::MAX, bytes: usize::MAX };

fn origin(service: &str) -> Arc<Origin> {
    let pair = ("service.name".into(), Value::Text(service.into()));
    Arc::new(Origin::new(Attributes(vec![pair].into()), "test".into()))
}

fn span(trace: u8, id: u8, name: &str, origin: &Arc<Origin>) -> Span {
    Span {
        trace_id: [trace; 16],
        span_id: [id; 8],
        parent: None,
        name: name.into(),
        kind: 2,
        start: 1,
        end: 2,
        status: 0,
        message: "".into(),
        attributes: Attributes::default(),
        events: Box::default(),
        links: Box::default(),
        origin: Arc::clone(origin),
    }
}

fn batch<T>(items: Vec<T>) -> Batch<T> {
    Batch { items, ..Batch::default() }
}

fn number(name: &str, service: &str, time: u64, value: f64) -> NewPoint {
    let meta = SeriesMeta {
        name: name.into(),
        unit: "1".into(),
        description: "".into(),
        kind: Kind::Sum,
        temporality: Temporality::Cumulative,
        monotonic: true,
        attributes: Attributes::default(),
        hash: 0,
    };
    let point = Point { time, start: 5, value: PointValue::Number(value), exemplars: Box::default() };
    NewPoint { meta: meta.hashed(), origin: origin(service), point }
}

#[test]
fn spans_beyond_the_count_push_out_the_oldest_and_the_books_balance() {
    let mut store = Store::new(Limit { count: 10, ..NONE }, NONE, NONE, 0);
    let origin = origin("a");
    for id in 1..=25 {
        store.add_spans(batch(vec![span(id / 5, id, "x", &origin)]), 1);
    }
    let counts = store.spans.counts();
    assert_eq!((store.spans.len(), counts.received, counts.evicted), (10, 25, 15));
    let kept: Vec<u8> = store.spans.newest_first().map(|(_, s)| s.span_id[0]).collect();
    assert_eq!(kept, (16..=25).rev().collect::<Vec<_>>());
    let of = |trace: u8| store.spans.of_trace(&[trace; 16]).map(|(_, s)| s.span_id[0]).collect::<Vec<_>>();
    assert_eq!((of(1), of(3), of(5)), (vec![], vec![16, 17, 18, 19], vec![25]));
}

#[test]
fn spans_beyond_the_bytes_push_out_the_oldest_and_the_estimate_returns_to_zero() {
    let limit = Limit { bytes: 20_000, ..NONE };
    let mut store = Store::new(limit, NONE, NONE, 0);
    for id in 1..=200 {
        let origin = origin(&format!("service-{id}"));
        store.add_spans(batch(vec![span(id, id, &"n".repeat(usize::from(id)), &origin)]), 1);
        assert!(store.spans.counts().bytes <= limit.bytes);
    }
    let counts = store.spans.counts();
    assert!(counts.evicted > 100 && !store.spans.is_empty());
    assert_eq!(counts.received, store.spans.len() as u64 + counts.evicted);
    assert_eq!(store.spans.origins().count(), store.spans.len(), "origins leave with their last span");
    while !store.spans.is_empty() {
        store.spans.evict();
    }
    assert_eq!((store.spans.counts().bytes, store.spans.origins().count()), (0, 0));
    assert!(store.spans.by_trace.is_empty());
}

#[test]
fn a_span_larger_than_the_limit_is_received_and_evicted() {
    let mut store = Store::new(Limit { bytes: 1_000, ..NONE }, NONE, NONE, 0);
    store.add_spans(batch(vec![span(1, 1, &"n".repeat(5_000), &origin("a"))]), 1);
    let counts = store.spans.counts();
    assert_eq!((counts.received, counts.evicted, counts.bytes, store.spans.len()), (1, 1, 0, 0));
}

#[test]
fn an_origin_evicted_in_the_middle_of_a_batch_is_counted_again() {
    let mut store = Store::new(Limit { count: 0, ..NONE }, NONE, NONE, 0);
    let origin = origin("a");
    store.add_spans(batch(vec![span(1, 1, "x", &origin), span(1, 2, "x", &origin)]), 1);
    assert_eq!((store.spans.counts().evicted, store.spans.counts().bytes), (2, 0));
}

#[test]
fn points_are_bounded_by_count_and_bytes_over_all_series() {
    let mut store = Store::new(NONE, NONE, Limit { count: 7, ..NONE }, 0);
    for time in 0..20 {
        let name = if time % 2 == 0 { "even" } else { "odd" };
        store.add_points(batch(vec![number(name, "a", 100 + time, 1.0)]), 1);
    }
    let counts = store.metrics.counts();
    assert_eq!((store.metrics.len(), counts.received, counts.evicted), (7, 20, 13));
    let times: usize = store.metrics.series().map(|s| s.points.iter().filter(|p| p.time >= 113).count()).sum();
    assert_eq!(times, 7);

    let limit = Limit { bytes: 30_000, ..NONE };
    let mut store = Store::new(NONE, NONE, limit, 0);
    for name in 0..500 {
        store.add_points(batch(vec![number(&format!("m{name}"), "a", 100, 1.0)]), 1);
        assert!(store.metrics.counts().bytes <= limit.bytes);
    }
    assert_eq!(store.metrics.series().count(), store.metrics.len(), "a series leaves with its last point");
    while !store.metrics.is_empty() {
        store.metrics.evict();
    }
    assert_eq!(store.metrics.counts().bytes, 0);
    assert!(store.metrics.by_hash.is_empty());
}

#[test]
fn a_series_is_newborn_only_when_its_sender_reported_without_it_or_began_after_us() {
    let born = |started: u64| {
        let mut store = Store::new(NONE, NONE, NONE, started);
        store.add_points(batch(vec![number("first", "a", 100, 1.0), number("second", "a", 100, 1.0)]), 100);
        store.add_points(batch(vec![number("later", "a", 200, 1.0)]), 200);
        let mut born: Vec<_> = store.metrics.series().map(|s| (s.meta.name.to_string(), s.born)).collect();
        born.sort();
        born.into_iter().map(|(_, born)| born).collect::<Vec<_>>()
    };
    assert_eq!(born(50), [None, Some(100), None], "started before us: only the later one");
    assert_eq!(born(0), [Some(5), Some(100), Some(5)]);
}
