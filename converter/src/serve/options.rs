//! How a server works, and what all of its parts share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Most samples in one request.
pub const MOST_SAMPLES: usize = 1 << 16;

/// Takes the lines of the log.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// How a server works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address and port to listen on; port 0 takes a free one.
    pub address: String,
    /// Files of a certificate chain and its key, in PEM: HTTPS instead of HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Most bytes of a request's body.
    pub body_bytes: usize,
    /// Longest time of a request, body and inference together.
    pub timeout: Duration,
    /// Most requests that are answered at once; further ones are refused with 503.
    pub requests: usize,
    /// Most open connections; further ones wait.
    pub connections: usize,
    /// Time between two looks at the folder.
    pub poll: Duration,
    /// Threads that run each model.
    pub threads: usize,
    /// Most open sequences of models with state.
    pub sequences: usize,
    /// A sequence that was idle for this time may make room for another.
    pub sequence_idle: Duration,
    /// The key that updates have to be signed with; without it, signatures are left to the devices.
    pub public_key: Option<[u8; 32]>,
    /// Longest time that requests have to end when the server stops.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            address: "127.0.0.1:8501".into(),
            tls: None,
            body_bytes: 16 << 20,
            timeout: Duration::from_secs(30),
            requests: 256,
            connections: 1024,
            poll: Duration::from_secs(1),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            sequences: 1024,
            sequence_idle: Duration::from_secs(60),
            public_key: None,
            grace: Duration::from_secs(30),
        }
    }
}
