//! Counters for Prometheus, in its text format (version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper ends of the histogram's buckets, in seconds.
const BUCKETS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// What is counted.
#[derive(Default)]
pub struct Metrics {
    /// By protocol and status.
    requests: Mutex<BTreeMap<(&'static str, u16), Spread>>,
    /// By model and version: samples, and nanoseconds from the queue's end to the answer.
    inferences: Mutex<BTreeMap<(String, u64), (u64, u64)>>,
    /// By model and by what became of it.
    loads: Mutex<BTreeMap<(String, &'static str), u64>>,
    /// Requests that are being answered.
    pub in_flight: AtomicI64,
    /// Open connections.
    pub connections: AtomicI64,
    /// Bytes of updates that devices have fetched.
    pub update_bytes: AtomicU64,
}

#[derive(Default)]
struct Spread {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    /// A request was answered.
    pub fn request(&self, protocol: &'static str, status: u16, time: Duration) {
        let mut requests = held(&self.requests);
        let spread = requests.entry((protocol, status)).or_default();
        let seconds = time.as_secs_f64();
        spread.count += 1;
        spread.seconds += seconds;
        for (bucket, end) in spread.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= end);
        }
    }

    /// Samples were run.
    pub fn inferences(&self, model: &str, version: u64, samples: usize, time: Duration) {
        let mut inferences = held(&self.inferences);
        let sums = inferences.entry((model.to_string(), version)).or_default();
        sums.0 += samples as u64;
        sums.1 = sums.1.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// A file was `loaded`, `refused` or `unloaded`.
    pub fn load(&self, model: &str, result: &'static str) {
        *held(&self.loads).entry((model.to_string(), result)).or_default() += 1;
    }

    /// The page for Prometheus. `versions` are those that are served.
    pub fn page<'a>(&self, versions: impl Iterator<Item = (&'a str, u64)>, sequences: usize) -> String {
        let mut out = String::new();
        let head = |out: &mut String, name: &str, kind: &str, what: &str| {
            let _ = write!(out, "# HELP ferrolite_{name} {what}\n# TYPE ferrolite_{name} {kind}\n");
        };
        head(&mut out, "request_seconds", "histogram", "Time of requests, by protocol and status.");
        for ((protocol, status), spread) in held(&self.requests).iter() {
            let labels = format!("protocol=\"{protocol}\",status=\"{status}\"");
            for (end, count) in BUCKETS.iter().zip(spread.buckets) {
                let _ = writeln!(out, "ferrolite_request_seconds_bucket{{{labels},le=\"{end}\"}} {count}");
            }
            let Spread { count, seconds, .. } = spread;
            let _ = write!(
                out,
                "ferrolite_request_seconds_bucket{{{labels},le=\"+Inf\"}} {count}\nferrolite_request_seconds_sum{{{labels}}} {seconds}\nferrolite_request_seconds_count{{{labels}}} {count}\n"
            );
        }
        let inferences = held(&self.inferences);
        let of = |model: &str, version: u64| format!("model=\"{}\",version=\"{version}\"", escaped(model));
        head(&mut out, "inferences_total", "counter", "Samples that were run.");
        for ((model, version), (samples, _)) in inferences.iter() {
            let _ = writeln!(out, "ferrolite_inferences_total{{{}}} {samples}", of(model, *version));
        }
        head(&mut out, "inference_seconds_total", "counter", "Time of their runs, waiting included.");
        for ((model, version), (_, nanoseconds)) in inferences.iter() {
            let seconds = *nanoseconds as f64 / 1e9;
            let _ = writeln!(out, "ferrolite_inference_seconds_total{{{}}} {seconds}", of(model, *version));
        }
        head(&mut out, "model_loads_total", "counter", "Files that were loaded, refused or unloaded.");
        for ((model, result), count) in held(&self.loads).iter() {
            let model = escaped(model);
            let _ =
                writeln!(out, "ferrolite_model_loads_total{{model=\"{model}\",result=\"{result}\"}} {count}");
        }
        head(&mut out, "model_version_served", "gauge", "1 for each version that is served.");
        for (model, version) in versions {
            let _ = writeln!(out, "ferrolite_model_version_served{{{}}} 1", of(model, version));
        }
        head(&mut out, "requests_in_flight", "gauge", "Requests that are being answered.");
        let _ = writeln!(out, "ferrolite_requests_in_flight {}", self.in_flight.load(Ordering::Relaxed));
        head(&mut out, "connections", "gauge", "Open connections.");
        let _ = writeln!(out, "ferrolite_connections {}", self.connections.load(Ordering::Relaxed));
        head(&mut out, "sequences", "gauge", "Sequences that have begun and not ended.");
        let _ = writeln!(out, "ferrolite_sequences {sequences}");
        head(&mut out, "update_bytes_total", "counter", "Bytes of updates that were fetched.");
        let _ = writeln!(out, "ferrolite_update_bytes_total {}", self.update_bytes.load(Ordering::Relaxed));
        out
    }
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_upwards_and_labels_are_escaped() {
        let metrics = Metrics::default();
        for milliseconds in [1, 3, 300_000] {
            metrics.request("v1", 200, Duration::from_millis(milliseconds));
        }
        metrics.inferences("a\"b", 7, 3, Duration::from_millis(1500));
        let page = metrics.page([("a\"b", 7)].into_iter(), 2);
        for line in [
            "ferrolite_request_seconds_bucket{protocol=\"v1\",status=\"200\",le=\"0.0005\"} 0",
            "ferrolite_request_seconds_bucket{protocol=\"v1\",status=\"200\",le=\"0.001\"} 1",
            "ferrolite_request_seconds_bucket{protocol=\"v1\",status=\"200\",le=\"10\"} 2",
            "ferrolite_request_seconds_bucket{protocol=\"v1\",status=\"200\",le=\"+Inf\"} 3",
            "ferrolite_inferences_total{model=\"a\\\"b\",version=\"7\"} 3",
            "ferrolite_inference_seconds_total{model=\"a\\\"b\",version=\"7\"} 1.5",
            "ferrolite_model_version_served{model=\"a\\\"b\",version=\"7\"} 1",
            "ferrolite_sequences 2",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}
