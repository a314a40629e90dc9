//! Signed updates for devices: `GET /v1/updates/M`, whole or in ranges.
//!
//! The body is what `ferrolite sign` wrote: 56 bytes of manifest, 64 of signature, and the model file. A device asks for the
//! first 120 (`/v1/updates/M/manifest`), hands them to `Slots::begin`, and fetches the rest in pieces of the size it likes
//! with `Range`, from byte 120 + `Update::offset()` on. The `ETag` names the contents: with `If-Match` a piece never comes
//! from another update than the pieces before it.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use ferrolite_schema::SIGNED_BYTES;

use super::catalog::{Update, Versions};
use super::failure::Failure;

const VERSION: HeaderName = HeaderName::from_static("ferrolite-version");

/// The update that a device asks for: one version, or the newest, or the newest above the one that it has.
pub fn find<'m>(
    name: &str,
    versions: &'m Versions,
    version: Option<&str>,
    above: Option<&str>,
) -> Result<Option<&'m Update>, Failure> {
    let number = |text: &str, what: &str| {
        text.parse::<u32>().map_err(|_| Failure::bad(format!("{what} is a version number, not `{text}`")))
    };
    let newest = versions.updates.values().next_back();
    let found = match (version, above) {
        (Some(version), _) => versions.updates.get(&number(version, "the version")?),
        (None, Some(above)) => {
            let above = number(above, "`above`")?;
            if newest.is_some_and(|update| update.manifest.version <= above) {
                return Ok(None);
            }
            newest
        }
        (None, None) => newest,
    };
    found.map(|update| Some(&**update)).ok_or_else(|| {
        let there: Vec<String> = versions.updates.keys().map(u32::to_string).collect();
        let there = match there.is_empty() {
            true => "it has none; `ferrolite sign` makes one".to_string(),
            false => format!("it has {}", there.join(", ")),
        };
        Failure::absent(format!("there is no such update of model `{name}`: {there}"))
    })
}

/// An update, or the part of it that was asked for. Returns how many bytes the body has, too.
pub fn answer(update: &Update, manifest_only: bool, asked: &HeaderMap) -> (Response, usize) {
    let whole = match manifest_only {
        true => update.bytes.slice(..SIGNED_BYTES),
        false => update.bytes.clone(),
    };
    let hash: String = update.manifest.hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag =
        format!("\"{}-{hash}{}\"", update.manifest.version, if manifest_only { "-manifest" } else { "" });
    let text = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let named = |value: &str| value.split(',').any(|part| part.trim() == "*" || part.trim() == tag);

    let (status, body, range) = if text(header::IF_MATCH).is_some_and(|value| !named(value)) {
        (StatusCode::PRECONDITION_FAILED, Bytes::new(), None)
    } else if text(header::IF_NONE_MATCH).is_some_and(named) {
        (StatusCode::NOT_MODIFIED, Bytes::new(), None)
    } else {
        let wanted = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|value| value == tag));
        match wanted.and_then(|value| range(value, whole.len())) {
            None => (StatusCode::OK, whole.clone(), None),
            Some(None) => {
                (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(format!("bytes */{}", whole.len())))
            }
            Some(Some((from, to))) => (
                StatusCode::PARTIAL_CONTENT,
                whole.slice(from..to),
                Some(format!("bytes {from}-{}/{}", to - 1, whole.len())),
            ),
        }
    };
    let length = body.len();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut set = |name, value: &str| {
        // These values are digits and signs of ASCII.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, "application/octet-stream");
    set(header::ACCEPT_RANGES, "bytes");
    set(header::ETAG, &tag);
    set(VERSION, &update.manifest.version.to_string());
    if let Some(range) = range {
        set(header::CONTENT_RANGE, &range);
    }
    (response, length)
}

/// The bytes of a `Range` header (RFC 9110, 14): `None` where it is none that has to be obeyed, `Some(None)` where none of
/// them is there.
fn range(value: &str, length: usize) -> Option<Option<(usize, usize)>> {
    let (first, last) = value.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<usize>().ok();
    match (first.trim(), last.trim()) {
        // The last bytes.
        ("", count) => {
            let count = number(count)?.min(length);
            Some((count > 0).then(|| (length - count, length)))
        }
        (first, last) => {
            let first = number(first)?;
            let end = match last {
                "" => length,
                last => number(last).filter(|&last| last >= first)?.saturating_add(1).min(length),
            };
            Some((first < length).then_some((first, end)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    /// RFC 9110, 14.1.2, with its example of 10,000 bytes.
    #[test]
    fn ranges_are_those_of_the_standard() {
        for (value, found) in [
            ("bytes=0-499", Some(Some((0, 500)))),
            ("bytes=500-999", Some(Some((500, 1000)))),
            ("bytes=-500", Some(Some((9500, 10_000)))),
            ("bytes=9500-", Some(Some((9500, 10_000)))),
            ("bytes=9999-20000", Some(Some((9999, 10_000)))),
            ("bytes=-20000", Some(Some((0, 10_000)))),
            ("bytes=0-18446744073709551615", Some(Some((0, 10_000)))),
            ("bytes=10000-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=5-4", None),
            ("bytes=0-1,5-6", None),
            ("bytes=-", None),
            ("lines=0-1", None),
            ("bytes=a-b", None),
        ] {
            assert_eq!(range(value, 10_000), found, "{value}");
        }
        assert_eq!(range("bytes=0-", 0), Some(None));
    }
}
