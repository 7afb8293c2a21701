//! Reading the body of a request: the right content type, at most 64 kB, within 4 seconds.

use crate::http::problem::{BODY_TOO_LARGE, BODY_TOO_SLOW, Kind, Problem, UNSUPPORTED_MEDIA_TYPE};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::time::Duration;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// The largest body, bytes.
pub const LIMIT: usize = 64 * 1024;

/// The longest time for a whole body.
pub const DEADLINE: Duration = Duration::from_secs(4);

/// The bytes of a body of type `content_type`; `broken` is the kind of a body that breaks off.
///
/// # Errors
/// A problem that says what to change.
pub async fn read(
    request: Request,
    content_type: &str,
    broken: &'static Kind,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    if !has_type(request.headers(), content_type) {
        return Err(UNSUPPORTED_MEDIA_TYPE.because(format!("Send the body as {content_type}.")));
    }
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > LIMIT as u64) {
        return Err(too_large());
    }
    match timeout(DEADLINE, Limited::new(request.into_body(), LIMIT).collect()).await {
        Ok(Ok(body)) => Ok(Zeroizing::new(body.to_bytes().to_vec())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(broken.because("The body broke off.")),
        Err(_) => Err(BODY_TOO_SLOW.because("The body did not arrive within 4 seconds.")),
    }
}

/// Whether the one content type is this, whatever its parameters.
fn has_type(headers: &HeaderMap, content_type: &str) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(Ok(value)), None) = (values.next().map(|value| value.to_str()), values.next()) else {
        return false;
    };
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(content_type))
}

fn too_large() -> Problem {
    BODY_TOO_LARGE.because("The body is larger than 64 kB.")
}
