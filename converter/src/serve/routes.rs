//! Which path is answered by what, and the limits of all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use super::catalog::{Catalog, Served, find};
use super::engine::{Answer, Samples, Task};
use super::failure::{self, Failure};
use super::metrics::Metrics;
use super::options::Options;
use super::sequences::{Key, Sequences};
use super::{kserve, tensorflow, updates};

/// How many times as large as the largest body the answers of a request may be.
const ANSWERS: usize = 4;

/// What all requests share.
pub struct App {
    catalog: Arc<Catalog>,
    pub metrics: Arc<Metrics>,
    sequences: Sequences,
    requests: Semaphore,
    /// Most open connections.
    pub connections: usize,
    body_bytes: usize,
    timeout: Duration,
    stopping: watch::Receiver<bool>,
}

type Shared = State<Arc<App>>;
type Answered = Result<Response, Failure>;

/// When a request's time is over.
#[derive(Clone, Copy)]
struct Deadline(Instant);

impl App {
    pub fn new(
        catalog: Arc<Catalog>,
        metrics: Arc<Metrics>,
        options: &Options,
        stopping: watch::Receiver<bool>,
    ) -> App {
        App {
            catalog,
            metrics,
            sequences: Sequences::new(options.sequences, options.sequence_idle),
            requests: Semaphore::new(options.requests.clamp(1, Semaphore::MAX_PERMITS)),
            connections: options.connections.clamp(1, Semaphore::MAX_PERMITS),
            body_bytes: options.body_bytes,
            timeout: options.timeout,
            stopping,
        }
    }

    /// The body of a request, up to the limit.
    async fn body(&self, request: Request) -> Result<Bytes, Failure> {
        let encoding = request.headers().get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            let message = "compressed bodies are not taken; send the body as it is";
            return Err(Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let most = self.body_bytes;
        let large = || {
            let message = format!(
                "the body has more than {most} bytes; send fewer samples at once, or start the server with a larger --max-body"
            );
            Failure::of(StatusCode::PAYLOAD_TOO_LARGE, message)
        };
        let told = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if told.and_then(|text| text.parse().ok()).is_some_and(|length: usize| length > most) {
            return Err(large());
        }
        to_bytes(request.into_body(), most).await.map_err(|error| {
            match std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("limit")) {
                true => large(),
                false => Failure::bad(format!("the body cannot be read: {error}")),
            }
        })
    }

    /// Runs samples, each from the model's own state.
    async fn run(&self, served: &Served, samples: Samples, deadline: Instant) -> Result<Answer, Failure> {
        self.run_from(served, samples, None, deadline).await
    }

    async fn run_from(
        &self,
        served: &Served,
        samples: Samples,
        state: Option<Vec<u8>>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let (count, began) = (samples.len(), Instant::now());
        let each: usize =
            served.outputs.iter().map(|port| port.elements().saturating_mul(port.dtype.size())).sum();
        // A model may answer a small sample with a large tensor.
        let most = self.body_bytes.saturating_mul(ANSWERS);
        if each.saturating_mul(count) > most {
            let message = format!(
                "the answers of {count} samples would have more than {most} bytes; send fewer at once"
            );
            return Err(Failure::of(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        let answer = served.engine.run(Task { samples, state, deadline }).await?;
        self.metrics.inferences(&served.name, served.version, count, began.elapsed());
        Ok(answer)
    }
}

/// The paths of the server.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(about))
        .route("/metrics", get(metrics))
        .route("/v1/models", get(list))
        .route("/v1/models/{model}", get(status).post(predict))
        .route("/v1/models/{model}/metadata", get(signatures))
        .route("/v1/models/{model}/versions/{version}", get(status).post(predict))
        .route("/v1/models/{model}/versions/{version}/metadata", get(signatures))
        .route("/v1/updates/{model}", get(update))
        .route("/v1/updates/{model}/manifest", get(manifest))
        .route("/v1/updates/{model}/versions/{version}", get(update))
        .route("/v1/updates/{model}/versions/{version}/manifest", get(manifest))
        .route("/v2", get(about))
        .route("/v2/", get(about))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/repository/index", post(index))
        .route("/v2/models/{model}", get(model))
        .route("/v2/models/{model}/ready", get(model_ready))
        .route("/v2/models/{model}/infer", post(infer))
        .route("/v2/models/{model}/versions/{version}", get(model))
        .route("/v2/models/{model}/versions/{version}/ready", get(model_ready))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer))
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(Arc::clone(&app), limits))
        .with_state(app)
}

/// Counts a request as one in flight, however it ends.
struct InFlight<'a>(&'a Metrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bounds the number and the time of requests, and counts them.
async fn limits(State(app): Shared, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let path = request.uri().path();
    // Probes are answered however much there is to do: a busy server must not be taken for a dead one.
    let probe = path == "/metrics" || path.starts_with("/v2/health/");
    let protocol = match path {
        path if path.starts_with("/v1/updates/") => "updates",
        path if path.starts_with("/v1/") => "v1",
        path if path.starts_with("/v2") => "v2",
        _ => "other",
    };
    app.metrics.in_flight.fetch_add(1, Ordering::Relaxed);
    let _in_flight = InFlight(&app.metrics);
    let permit = if probe { None } else { Some(app.requests.try_acquire()) };
    let response = match permit {
        Some(Err(_)) => Failure::busy("too many requests at once; try again").into_response(),
        _permit => {
            request.extensions_mut().insert(Deadline(began + app.timeout));
            // A little more than the engine's own limit, which has the better sentence.
            match tokio::time::timeout(app.timeout + Duration::from_millis(500), next.run(request)).await {
                Ok(response) => response,
                Err(_) => {
                    let message =
                        "the request took too long: its body did not come in time, or the server is too busy";
                    Failure::of(StatusCode::REQUEST_TIMEOUT, message).into_response()
                }
            }
        }
    };
    app.metrics.request(protocol, response.status().as_u16(), began.elapsed());
    response
}

async fn nothing(request: Request) -> Failure {
    Failure::absent(format!(
        "there is nothing at {}; paths are /v1/models/M, /v1/models/M:predict, /v1/updates/M, /v2/models/M, /v2/models/M/infer, /v2/health/ready and /metrics",
        request.uri().path()
    ))
}

async fn other_method(request: Request) -> Failure {
    let (method, path) = (request.method(), request.uri().path());
    Failure::of(StatusCode::METHOD_NOT_ALLOWED, format!("{path} is not asked for with {method}"))
}

/// The model and version of a path, and what is asked of it behind a colon (`M:predict`).
fn asked(parts: &Path<Parts>) -> (String, Option<String>, Option<String>) {
    let Path(parts) = parts;
    let split = |text: &str| match text.rsplit_once(':') {
        Some((text, verb)) => (text.to_string(), Some(verb.to_string())),
        None => (text.to_string(), None),
    };
    match &parts.version {
        None => {
            let (model, verb) = split(&parts.model);
            (model, None, verb)
        }
        Some(version) => {
            let (version, verb) = split(version);
            (parts.model.clone(), Some(version), verb)
        }
    }
}

/// What a path has in its places.
#[derive(serde::Deserialize)]
struct Parts {
    model: String,
    version: Option<String>,
}

async fn about() -> Response {
    let extensions = ["binary_tensor_data", "sequence", "model_repository"];
    let text = json!({ "name": "ferrolite", "version": env!("CARGO_PKG_VERSION"), "extensions": extensions });
    failure::json(StatusCode::OK, text.to_string())
}

async fn metrics(State(app): Shared) -> Response {
    let models = app.catalog.models();
    let versions = models
        .iter()
        .flat_map(|(name, versions)| versions.served.keys().map(|&version| (name.as_str(), version)));
    let mut response = Response::new(Body::from(app.metrics.page(versions, app.sequences.len())));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn list(State(app): Shared) -> Response {
    let models = app.catalog.models();
    let names: Vec<&String> = models.keys().collect();
    failure::json(StatusCode::OK, json!({ "models": names }).to_string())
}

async fn status(State(app): Shared, parts: Path<Parts>) -> Answered {
    let (model, version, verb) = asked(&parts);
    if let Some(verb) = verb {
        let message = format!(":{verb} is asked for with POST");
        return Err(Failure::of(StatusCode::METHOD_NOT_ALLOWED, message));
    }
    tensorflow::status(&app.catalog, &model, version.as_deref())
}

async fn signatures(State(app): Shared, Path(parts): Path<Parts>) -> Answered {
    Ok(tensorflow::metadata(&*app.catalog.find(&parts.model, parts.version.as_deref())?))
}

async fn predict(State(app): Shared, parts: Path<Parts>, request: Request) -> Answered {
    let (model, version, verb) = asked(&parts);
    match verb.as_deref() {
        Some("predict") => {}
        Some(verb @ ("classify" | "regress")) => {
            let message = format!(
                ":{verb} is not offered: it takes examples of named features, which models for devices do not have; use :predict, whose scores have the classes' order"
            );
            return Err(Failure::of(StatusCode::NOT_IMPLEMENTED, message));
        }
        _ => return Err(Failure::absent("only :predict is asked for with POST here")),
    }
    let served = app.catalog.find(&model, version.as_deref())?;
    let deadline = deadline(&request, &app);
    let body = app.body(request).await?;
    let mut predict = tensorflow::read(&served, &body)?;
    drop(body);
    let answer = app.run(&served, std::mem::take(&mut predict.samples), deadline).await?;
    Ok(tensorflow::answer(&served, &predict, &answer))
}

fn deadline(request: &Request, app: &App) -> Instant {
    request.extensions().get().map_or_else(|| Instant::now() + app.timeout, |&Deadline(at)| at)
}

async fn live() -> StatusCode {
    StatusCode::OK
}

/// A server that is stopping gets no new requests from a balancer.
async fn ready(State(app): Shared) -> Answered {
    match *app.stopping.borrow() {
        true => Err(Failure::busy("the server is stopping")),
        false => Ok(StatusCode::OK.into_response()),
    }
}

async fn index(State(app): Shared) -> Response {
    let models = app.catalog.models();
    let entries = models.iter().flat_map(|(name, versions)| {
        versions.served.keys().map(move |version| {
            json!({ "name": name, "version": version.to_string(), "state": "READY", "reason": "" })
        })
    });
    failure::json(StatusCode::OK, entries.collect::<serde_json::Value>().to_string())
}

async fn model(State(app): Shared, Path(parts): Path<Parts>) -> Answered {
    let served = app.catalog.find(&parts.model, parts.version.as_deref())?;
    let models = app.catalog.models();
    let versions: Vec<u64> =
        find(&models, &parts.model).map(|all| all.served.keys().copied().collect()).unwrap_or_default();
    Ok(kserve::metadata(&served, &versions))
}

async fn model_ready(State(app): Shared, Path(parts): Path<Parts>) -> Answered {
    app.catalog.find(&parts.model, parts.version.as_deref())?;
    Ok(StatusCode::OK.into_response())
}

async fn infer(State(app): Shared, Path(parts): Path<Parts>, request: Request) -> Answered {
    let Parts { model, version } = parts;
    let version = version.as_deref();
    let served = app.catalog.find(&model, version)?;
    let json_length = match request.headers().get(kserve::JSON_LENGTH) {
        None => None,
        Some(value) => Some(
            value
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| Failure::bad(format!("{} is a number of bytes", kserve::JSON_LENGTH)))?,
        ),
    };
    let deadline = deadline(&request, &app);
    let body = app.body(request).await?;
    let parsed = kserve::parse(&body, json_length)?;
    let Some(step) = parsed.sequence(!served.initial_state.is_empty())? else {
        let mut infer = kserve::read(&served, parsed)?;
        let answer = app.run(&served, std::mem::take(&mut infer.samples), deadline).await?;
        return Ok(kserve::answer(&served, &infer, &answer));
    };
    let key: Key = (model, step.id);
    let sequence = match step.start {
        true => app.sequences.begin(key.clone(), served)?,
        false => app.sequences.find(&key)?,
    };
    let served = &sequence.served;
    let mut infer = kserve::read(served, parsed)?;
    // Requests of one sequence run in the order in which they came.
    let mut state = sequence.state.lock().await;
    let mut answer =
        app.run_from(served, std::mem::take(&mut infer.samples), Some(state.clone()), deadline).await?;
    if let Some(after) = answer.state.take() {
        *state = after;
    }
    drop(state);
    if step.end {
        app.sequences.end(&key);
    }
    Ok(kserve::answer(served, &infer, &answer))
}

async fn update(state: Shared, parts: Path<Parts>, request: Request) -> Answered {
    send_update(&state, parts, &request, false)
}

async fn manifest(state: Shared, parts: Path<Parts>, request: Request) -> Answered {
    send_update(&state, parts, &request, true)
}

fn send_update(app: &App, Path(parts): Path<Parts>, request: &Request, manifest_only: bool) -> Answered {
    let models = app.catalog.models();
    let versions = find(&models, &parts.model)?;
    let query = request.uri().query().unwrap_or_default();
    let above = query.split('&').find_map(|part| part.strip_prefix("above="));
    let found = updates::find(&parts.model, versions, parts.version.as_deref(), above)?;
    let Some(update) = found else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let (response, bytes) = updates::answer(update, manifest_only, request.headers());
    if request.method() != Method::HEAD {
        app.metrics.update_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    Ok(response)
}
