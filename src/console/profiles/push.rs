//! `POST /push.v1.PusherService/Push`: Pyroscope's push API, one connect unary call in protobuf, gzip or plain. Called by
//! the console's `api`. Whatever comes, the answer is 200 or a 4xx with the reason.

use std::collections::HashMap;
use std::io::Read;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message;
use serde_json::json;

use super::{Profile, pprof};
use crate::console::api::Api;
use crate::console::ingest::now;
use crate::console::receiver::MAX_MESSAGE;
use crate::console::receiver::http::{Refusal, body};

/// The path below Pyroscope's URL.
pub(crate) const PATH: &str = "/push.v1.PusherService/Push";

#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<RawSample>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct RawSample {
    #[prost(bytes = "vec", tag = "1")]
    raw_profile: Vec<u8>,
}

/// The handler.
pub(crate) async fn push(State(api): State<Api>, request: Request) -> Response {
    // Neither type can be sent by another site's page without asking first, so no foreign page can push.
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !kind.is_some_and(|kind| [&b"application/proto"[..], b"application/x-protobuf"].contains(&kind)) {
        let message = "content-type is not known: allowed is application/proto";
        return refuse(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, message.to_owned()));
    }
    let read = match body(request).await {
        Ok(bytes) => profiles(&bytes, now()),
        Err(refusal) => Err(refusal),
    };
    match read {
        Ok(profiles) => {
            api.ingest.add_profiles(profiles);
            // An empty PushResponse.
            ([(header::CONTENT_TYPE, "application/proto")], ()).into_response()
        }
        Err(refusal) => {
            api.ingest.reject_profile();
            refuse(refusal)
        }
    }
}

/// As connect has errors; `error` as the rest of this API.
fn refuse(Refusal(status, message): Refusal) -> Response {
    let code = if status == StatusCode::PAYLOAD_TOO_LARGE { "resource_exhausted" } else { "invalid_argument" };
    (status, axum::Json(json!({ "code": code, "message": message, "error": message }))).into_response()
}

/// All profiles of a request, or none.
pub(super) fn profiles(bytes: &[u8], now: u64) -> Result<Vec<Profile>, Refusal> {
    let bad = |message: String| Refusal(StatusCode::BAD_REQUEST, message);
    let request = PushRequest::decode(bytes).map_err(|error| bad(format!("the body is no PushRequest: {error}")))?;
    // A profile may be packed once more: all of them together may unpack to what one message may have.
    let mut left = MAX_MESSAGE as u64;
    let mut profiles = Vec::new();
    for (index, series) in request.series.into_iter().enumerate() {
        let labels = series.labels.into_iter().map(|pair| (pair.name, pair.value)).collect::<HashMap<_, _>>();
        for sample in series.samples {
            let plain = unpacked(sample.raw_profile, &mut left)?;
            profiles.push(pprof::read(&plain, &labels, now).map_err(|why| bad(format!("series {index}: {why}")))?);
        }
    }
    Ok(profiles)
}

fn unpacked(raw: Vec<u8>, left: &mut u64) -> Result<Vec<u8>, Refusal> {
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(raw);
    }
    let mut plain = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(&raw[..]).take(*left + 1).read_to_end(&mut plain);
    read.map_err(|error| Refusal(StatusCode::BAD_REQUEST, format!("a profile is not gzip: {error}")))?;
    *left = left.checked_sub(plain.len() as u64).ok_or_else(|| {
        Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the profiles of a push may have {MAX_MESSAGE} bytes, compressed or not"),
        )
    })?;
    Ok(plain)
}
