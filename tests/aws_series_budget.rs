//! Amazon Managed Prometheus takes 40 million samples a month for nothing: about 900 series at one sample a minute. What
//! the app and the load tester really send, what the collector says of itself and what the recording rules write must
//! stay within what `terraform/cost/profiles.json` reckons with, and that within the free tier.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(all(feature = "app", feature = "load", feature = "console"))]

#[path = "support/up.rs"]
mod up;

use std::time::{Duration, Instant};

use serde_json::Value;
use signalbox::telemetry::names::{DURATION_BUCKETS, METRICS};
use up::Up;

/// Series of the collector itself, counted on its own port with `core.yaml` and `aws.yaml` (80), `up` and the scrape's own
/// four, and as many again as one failing exporter adds.
const COLLECTOR: usize = 105;
/// `target_info` of the app and of the load tester.
const TARGET_INFO: usize = 2;
const FREE_SAMPLES: f64 = 40e6;

fn settings() -> Value {
    serde_json::from_str(include_str!("../terraform/cost/profiles.json")).unwrap()
}

/// Each recording rule writes a series or two, each alert rule one while it fires.
fn rules() -> usize {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/prometheus/rules");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    files.map(|text| text.matches("record:").count() + text.matches("alert:").count()).sum()
}

/// Series in Prometheus' sense: a histogram is its buckets, the one to infinity, sum and count.
async fn series(console: &str, client: &reqwest::Client) -> usize {
    let each = |one: &Value| if one["kind"] == "histogram" { DURATION_BUCKETS.len() + 3 } else { 1 };
    let mut count = 0;
    for metric in METRICS {
        let url = format!("{console}/api/v1/metrics/series?name={}", metric.name);
        let answer: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        count += answer["series"].as_array().unwrap().iter().map(each).sum::<usize>();
    }
    count
}

#[test]
fn what_is_sent_stays_within_the_free_tier_of_the_managed_prometheus() {
    let mut up = Up::start(&["--for", "45s"]);
    let page = up.line(Duration::from_secs(60), |line| {
        let at = line.find("http://")?;
        line.starts_with("console")
            .then(|| line[at..].split_whitespace().next().unwrap().trim_end_matches('/').to_owned())
    });
    let (runtime, client) = (tokio::runtime::Runtime::new().unwrap(), reqwest::Client::new());
    let (mut most, end) = (0, Instant::now() + Duration::from_secs(40));
    // The spike adds statuses and routes; after it nothing new comes.
    while Instant::now() < end {
        most = most.max(runtime.block_on(series(&page, &client)));
        std::thread::sleep(Duration::from_secs(2));
    }
    up.interrupt();
    let (_, lines) = up.end(Duration::from_secs(60));
    assert!(most > 300, "only {most} series arrived:\n{}", lines.join("\n"));

    let usage = &settings()["usage"];
    let planned = usage["series"].as_u64().unwrap();
    let total = most + TARGET_INFO + COLLECTOR + rules();
    println!("series: {most} sent, {COLLECTOR} of the collector, {} by rules: {total}, planned {planned}", rules());
    assert!(total as u64 <= planned, "{total} series; terraform/cost/profiles.json reckons with {planned}");

    let samples = |hours: f64| planned as f64 * hours * 3600.0 / usage["sample_interval_seconds"].as_f64().unwrap();
    let month = samples(usage["hours_in_month"].as_f64().unwrap());
    assert!(month <= FREE_SAMPLES, "{planned} series are {month} samples a month, 24 hours a day");
}
