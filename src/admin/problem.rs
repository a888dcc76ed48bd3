//! Problem details (RFC 9457): the one shape of every error that the API answers.
//!
//! A detail is a sentence for the person who must act; it holds no secret and no internal path.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::admin::Refusal;
use crate::store::StoreError;

/// The media type of problem details (RFC 9457, section 6.1).
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// An error on its way to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) detail: String,
    /// An extension member (RFC 9457, section 3.2): each of several errors.
    pub(super) errors: Vec<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new() }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(detail) => Self::new(StatusCode::NOT_FOUND, detail),
            Refusal::Conflict(detail) => Self::new(StatusCode::CONFLICT, detail),
            Refusal::Unavailable(detail) => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
            Refusal::Internal(detail) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail),
            Refusal::Invalid { detail, errors } => {
                Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            StoreError::UnknownJob(_) => StatusCode::NOT_FOUND,
            StoreError::LeaseLost(_) => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

/// The members of RFC 9457, section 3.1. With the type `about:blank` the title is the status's own phrase (4.2.1).
#[derive(Serialize, Deserialize)]
struct Details<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let details = Details {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: self.errors,
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 11.6.1: a 401 names the scheme.
            let scheme = HeaderValue::from_static("Bearer realm=\"doorbell\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
