//! Connections: plain or TLS, a bounded number, each ended when its client is too slow, and all of them when the server stops.

use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::options::Log;
use super::routes::{App, router};
use crate::error::{Error, Result};
use crate::files;

/// Longest time for a TLS handshake, and for a request's head; also for a connection that waits for a next request.
const HEAD: Duration = Duration::from_secs(60);

/// Binds an address.
pub fn bind(address: &str) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).map_err(|e| unusable(address, e))?;
    listener.set_nonblocking(true).map_err(|e| unusable(address, e))?;
    Ok(listener)
}

/// The error for an address that cannot be listened on.
pub fn unusable(address: &str, error: io::Error) -> Error {
    Error::input(format!("{address}: cannot be listened on: {error}"))
        .help("give an address of this machine and a free port: --http 127.0.0.1:8501, or port 0 for any")
        .caused_by(error)
}

/// Reads a certificate chain and its key.
pub fn tls(chain: &Path, key: &Path) -> Result<TlsAcceptor> {
    const HELP: &str = "give PEM files: the server's certificate with those that signed it behind, and its key without a password";
    let wrong = |path: &Path, why: String| Error::input(format!("{}: {why}", path.display())).help(HELP);
    let read = |path: &Path| files::read(path).map_err(|e| wrong(path, format!("cannot be read: {e}")));
    let certificates = CertificateDer::pem_slice_iter(&read(chain)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| wrong(chain, format!("is no PEM file of certificates: {e}")))?;
    if certificates.is_empty() {
        return Err(wrong(chain, "has no certificate".into()));
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|e| wrong(key, format!("is no PEM file of a private key: {e}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(certificates, secret))
        .map_err(|e| wrong(chain, format!("does not go with {}: {e}", key.display())))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Waits for SIGTERM or SIGINT. `ready` is called when neither ends the process any more.
pub async fn signal(ready: impl FnOnce() -> Result<()>) -> Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
        ready()?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
    #[cfg(not(unix))]
    {
        ready()?;
        tokio::signal::ctrl_c().await.map_err(unheard)
    }
}

fn unheard(e: io::Error) -> Error {
    Error::internal(format!("signals cannot be waited for: {e}")).caused_by(e)
}

/// Takes connections until the server is to stop, then waits until all requests are answered.
pub async fn serve(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    app: Arc<App>,
    log: Log,
    mut stopping: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(app.connections));
    loop {
        // Where there is no room, clients wait in the system's queue.
        let permit = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => break,
            permit = Arc::clone(&room).acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Most often too many open files: that passes.
                log(&format!("a connection cannot be taken: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Answers are whole when they are written: waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let (app, tls, watcher) = (Arc::clone(&app), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _permit = permit;
            app.metrics.connections.fetch_add(1, Ordering::Relaxed);
            connection(stream, tls, &app, watcher).await;
            app.metrics.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Answers the requests of one connection. Its errors are the client's affair.
async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, app: &Arc<App>, watcher: Watcher) {
    match tls {
        None => requests(stream, app, watcher).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HEAD, tls.accept(stream)).await {
                requests(stream, app, watcher).await;
            }
        }
    }
}

async fn requests<S>(stream: S, app: &Arc<App>, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router(Arc::clone(app)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let _ = watcher.watch(connection).await;
}
