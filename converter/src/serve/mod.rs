//! `ferrolite serve`: a folder of models behind HTTP, for programs that speak TensorFlow Serving's REST interface or KServe's
//! version 2, and for devices that fetch signed updates. Answers are the device's bytes: the same interpreter runs here.
//!
//! | path | what |
//! |---|---|
//! | `GET /v1/models/M[/versions/V]` | state of the versions (`tensorflow`) |
//! | `GET /v1/models/M[/versions/V]/metadata` | signatures |
//! | `POST /v1/models/M[/versions/V]:predict` | inference |
//! | `GET /v2`, `/v2/health/live`, `/v2/health/ready` | the server (`kserve`) |
//! | `GET /v2/models/M[/versions/V]`, `…/ready` | a model |
//! | `POST /v2/models/M[/versions/V]/infer` | inference, JSON or binary |
//! | `GET /v1/updates/M[/versions/V][/manifest]` | signed updates (`updates`) |
//! | `GET /metrics` | counters for Prometheus (`metrics`) |
//!
//! ```
//! use ferrolite::serve::{Options, Server};
//! use std::io::{Read, Write};
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine");
//! # let place = tempfile::tempdir().unwrap();
//! # std::fs::copy(format!("{folder}/sine.ferro"), place.path().join("sine.ferro")).unwrap();
//! # let folder = place.path();
//! let server = Server::start(folder, &Options { address: "127.0.0.1:0".into(), ..Options::default() }, |_| ())?;
//! let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
//! let body = r#"{"instances": [0.5, 1.5]}"#;
//! let head = format!("POST /v1/models/sine:predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}", body.len());
//! write!(stream, "{head}\r\n\r\n{body}").unwrap();
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer).unwrap();
//! assert!(answer.contains("\"predictions\""), "{answer}");
//! server.stop()?;
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod catalog;
mod engine;
mod failure;
mod kserve;
mod listen;
mod metrics;
mod options;
mod routes;
mod sequences;
mod tensorflow;
mod updates;
mod values;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use self::options::Options;

use self::catalog::{Catalog, Loading};
use self::metrics::Metrics;
use self::options::Log;
use self::routes::App;
use crate::error::{Error, Result};

/// A server that is running. It stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    models: Vec<(String, Vec<u64>)>,
    stop: watch::Sender<bool>,
    runtime: Option<tokio::runtime::Runtime>,
    listening: Option<tokio::task::JoinHandle<()>>,
    grace: Duration,
}

impl Server {
    /// Loads the models of a folder and serves them. `log` takes what happens, a line at a time.
    ///
    /// # Errors
    /// When the folder cannot be read, the address cannot be used, or certificate and key are none. Models that are not
    /// sound are told to the log; the others are served.
    pub fn start(
        folder: &Path,
        options: &Options,
        log: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Server> {
        let log: Log = Arc::new(log);
        let tls = options.tls.as_ref().map(|(chain, key)| listen::tls(chain, key)).transpose()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("http").build().map_err(
                |e| Error::internal(format!("the server's threads cannot be started: {e}")).caused_by(e),
            )?;
        let listener = listen::bind(&options.address)?;
        let address = listener.local_addr().map_err(|e| listen::unusable(&options.address, e))?;
        let metrics = Arc::new(Metrics::default());
        let loading = Loading { threads: options.threads, public_key: options.public_key };
        let catalog = Arc::new(Catalog::open(folder, loading, Arc::clone(&log), Arc::clone(&metrics))?);
        let models = catalog
            .models()
            .iter()
            .map(|(name, versions)| (name.clone(), versions.served.keys().copied().collect()))
            .collect();
        let (stop, stopping) = watch::channel(false);
        let app = Arc::new(App::new(Arc::clone(&catalog), metrics, options, stopping.clone()));
        let listening = {
            let _entered = runtime.enter();
            tokio::spawn(follow(catalog, options.poll, stopping.clone()));
            let listener = tokio::net::TcpListener::from_std(listener)
                .map_err(|e| listen::unusable(&options.address, e))?;
            tokio::spawn(listen::serve(listener, tls, app, log, stopping))
        };
        let grace = options.grace;
        Ok(Server { address, models, stop, runtime: Some(runtime), listening: Some(listening), grace })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was served at the start: names and versions.
    pub fn models(&self) -> &[(String, Vec<u64>)] {
        &self.models
    }

    /// Waits for SIGTERM or SIGINT (Ctrl+C), then stops as [`stop`](Server::stop) does.
    ///
    /// # Errors
    /// When signals cannot be waited for.
    pub fn run(self) -> Result<()> {
        self.run_saying(|| Ok(()))
    }

    /// The same; `ready` is called as soon as a signal stops the server and no longer ends the process: it may tell others
    /// that the server is there.
    ///
    /// # Errors
    /// When signals cannot be waited for, or `ready` has an error.
    pub fn run_saying(self, ready: impl FnOnce() -> Result<()>) -> Result<()> {
        if let Some(runtime) = &self.runtime {
            runtime.block_on(listen::signal(ready))?;
        }
        self.stop()
    }

    /// Takes no new connections, lets requests that have begun end, and returns when all have or the time for it is over.
    ///
    /// # Errors
    /// When the time was over before all requests had ended.
    pub fn stop(mut self) -> Result<()> {
        let _ = self.stop.send(true);
        let (Some(runtime), Some(listening)) = (self.runtime.take(), self.listening.take()) else {
            return Ok(());
        };
        let ended = runtime.block_on(async { tokio::time::timeout(self.grace, listening).await });
        runtime.shutdown_background();
        match ended {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::input(format!(
                "requests were still being answered {} s after the server was told to stop; they were cut off",
                self.grace.as_secs()
            ))
            .help("give clients a shorter --timeout, or the server more time with --grace")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Looks at the folder again and again.
async fn follow(catalog: Arc<Catalog>, poll: Duration, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(poll) => {}
        }
        let catalog = Arc::clone(&catalog);
        // Loading takes a while, and must not hold up requests.
        let _ = tokio::task::spawn_blocking(move || catalog.look()).await;
    }
}
