//! What a client did wrong, or the server could not do, as an HTTP answer: a status and `{"error": "…"}`, which is what
//! clients of TensorFlow Serving and of KServe look for.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::{Error, Fault};

/// An answer that says why there is no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status of the answer.
    pub status: StatusCode,
    /// One sentence: what was found, and what to do.
    pub message: String,
}

impl Failure {
    /// The request is at fault.
    pub fn bad(message: impl Into<String>) -> Failure {
        Failure::of(StatusCode::BAD_REQUEST, message)
    }

    /// There is no such model, version or path.
    pub fn absent(message: impl Into<String>) -> Failure {
        Failure::of(StatusCode::NOT_FOUND, message)
    }

    /// The server has too much to do.
    pub fn busy(message: impl Into<String>) -> Failure {
        Failure::of(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// A failure with this status.
    pub fn of(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure { status, message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match error.fault {
            Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let help = if error.help.is_empty() { String::new() } else { format!("; {}", error.help) };
        Failure::of(status, format!("{}{help}", error.message))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = json(self.status, serde_json::json!({ "error": self.message }).to_string());
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// An answer that is JSON.
pub fn json(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
