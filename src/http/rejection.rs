//! Requests that cannot be taken apart, told in our words: what axum and serde say is recognised by its shape.

use axum::{
    extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection},
    http::StatusCode,
};

use super::Problem;
use crate::{diagnostic::field_fault, say};

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(field_fault(&rejection.body_text()))
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(field_fault(&rejection.body_text()))
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        let detail = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                say!("the body is too large (http.body_bytes_max): send it in parts")
            }
            _ => say!("the body broke off"),
        };
        Self::new(rejection.status(), detail)
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let detail = match &rejection {
            JsonRejection::MissingJsonContentType(_) => {
                say!("the body must be JSON, and be sent with Content-Type: application/json")
            }
            JsonRejection::JsonSyntaxError(e) => syntax(&e.body_text()),
            _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => say!("the body is too large"),
            _ => field_fault(&rejection.body_text()),
        };
        Self::new(rejection.status(), detail)
    }
}

fn syntax(text: &str) -> String {
    let number = |word: &str| {
        let rest = text.split(word).nth(1)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    match (number(" at line "), number(" column ")) {
        (Some(line), Some(column)) => {
            say!("the body is no JSON from line {line}, column {column} on", line, column)
        }
        _ => say!("the body is no JSON"),
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Json,
        body::Body,
        extract::{FromRequest, Query, Request},
        http::header,
    };
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is wrong with it is looked at")]
    struct Asked {
        who: String,
        deadline: Option<u32>,
    }

    async fn body(text: &'static str, kind: &str) -> String {
        let request = Request::post("/").header(header::CONTENT_TYPE, kind).body(Body::from(text)).unwrap();
        let rejection = Json::<Asked>::from_request(request, &()).await.unwrap_err();
        serde_json::to_value(Problem::from(rejection)).unwrap()["detail"].as_str().unwrap().to_owned()
    }

    fn query(uri: &'static str) -> String {
        let rejection = Query::<Asked>::try_from_uri(&uri.parse().unwrap()).unwrap_err();
        serde_json::to_value(Problem::from(rejection)).unwrap()["detail"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn no_library_speaks() {
        let json = "application/json";
        for (sent, kind, wanted) in [
            ("{\"whom\":\"a\"}", json, "there is no \"whom\" here: did you mean \"who\"?"),
            ("{}", json, "who is missing"),
            ("{\"who\":5}", json, "the value of who is not of the type that it must be"),
            (
                "{\"who\":\"a\",\"deadline\":-1}",
                json,
                "the value of deadline is not of the type that it must be",
            ),
            ("{\"who\":", json, "the body is no JSON from line 1, column 7 on"),
            ("who=a", "text/plain", "the body must be JSON, and be sent with Content-Type: application/json"),
        ] {
            assert_eq!(body(sent, kind).await, wanted, "{sent}");
        }
        assert_eq!(query("/?who=a&deadlin=1"), "there is no \"deadlin\" here: did you mean \"deadline\"?");
        assert_eq!(query("/?who=a&deadline=x"), "the value of deadline is not of the type that it must be");
    }
}
