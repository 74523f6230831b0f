//! A bucket as a store, over S3's protocol: requests that rusty-s3 signs and reqwest sends.

use std::{sync::mpsc::sync_channel, time::Duration};

use reqwest::{Client, StatusCode, header};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle, actions::ListObjectsV2};
use tokio::runtime::{Builder, Runtime};

use super::{BucketError, bucket::Existing, settings::S3Settings};
use crate::{diagnostic::os_reason, say};

/// How long a request may take: a piece of 8 MiB over a slow line.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long one waits for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a signature is good for.
const SIGNED_FOR: Duration = Duration::from_mins(5);
/// Of an answer that refuses so much is read.
const REFUSAL_MAX: usize = 4096;

#[derive(Debug)]
pub struct S3 {
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
    client: Client,
    /// Requests go on in it, whatever thread asks.
    runtime: Option<Runtime>,
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may be dropped where other runtimes run, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl S3 {
    pub(super) fn new(settings: &S3Settings) -> Result<Self, BucketError> {
        let place = format!("s3://{}/{}", settings.bucket, settings.prefix);
        let refused = |why: String| BucketError::Refused { place: place.clone(), why };
        let amazon = format!("https://s3.{}.amazonaws.com", settings.region);
        let endpoint = settings.endpoint.as_deref().unwrap_or(&amazon);
        let wrong =
            || refused(say!("state.replicate.endpoint is no address such as https://s3.example.gov.cn:9000"));
        let url = reqwest::Url::parse(endpoint).map_err(|_| wrong())?;
        let bucket = Bucket::new(url, UrlStyle::Path, settings.bucket.clone(), settings.region.clone())
            .map_err(|_| wrong())?;
        let credentials = match &settings.key {
            Some((id, key)) => Credentials::new(id.clone(), key.clone()),
            None => Credentials::from_env().ok_or_else(|| {
                refused(say!(
                    "there is no key for it; set state.replicate.key_id and secret_file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                ))
            })?,
        };
        let mut client = Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("fiscwatch/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if let Some(path) = &settings.ca_file {
            let fail = |reason: String| {
                refused(say!("state.replicate.ca_file {path}: {reason}", path = path.display(), reason))
            };
            let text = std::fs::read(path).map_err(|e| fail(os_reason(&e)))?;
            let certificates =
                reqwest::Certificate::from_pem_bundle(&text).map_err(|e| fail(e.to_string()))?;
            client = client.tls_certs_merge(certificates);
        }
        let client = client.build().map_err(|e| refused(e.to_string()))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("replica")
            .enable_all()
            .build()
            .map_err(|e| refused(os_reason(&e)))?;
        Ok(Self { bucket, credentials, prefix: settings.prefix.clone(), client, runtime: Some(runtime) })
    }

    pub(super) fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket.name(), self.prefix)
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn away(&self, why: String) -> BucketError {
        BucketError::Away { place: self.place(), why }
    }

    /// Sends a request, and waits for the whole answer.
    fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, BucketError> {
        let Some(runtime) = &self.runtime else { return Err(self.away(say!("it is closed"))) };
        let (answered, answer) = sync_channel(1);
        runtime.spawn(async move {
            let sent = async {
                let response = request.send().await?;
                let status = response.status();
                Ok::<_, reqwest::Error>(Answer { status, body: response.bytes().await?.to_vec() })
            };
            let _ = answered.send(sent.await);
        });
        match answer.recv() {
            Ok(Ok(answer)) => Ok(answer),
            // The address has the signature in it.
            Ok(Err(error)) => Err(self.away(words(&error.without_url()))),
            Err(_) => Err(self.away(say!("it is closed"))),
        }
    }

    /// What an answer that is none of those expected means.
    fn fault(&self, answer: &Answer) -> BucketError {
        let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(REFUSAL_MAX)]);
        let code = between(&text, "<Code>", "</Code>").unwrap_or_default();
        let status = answer.status.as_u16();
        let refused = |why: String| BucketError::Refused { place: self.place(), why };
        match (status, code) {
            (_, "NoSuchBucket") => refused(say!(
                "there is no bucket {name}; make it, or correct state.replicate.to",
                name = self.bucket.name()
            )),
            (_, "InvalidAccessKeyId" | "XAdminUserNotFound") => {
                refused(say!("it does not know the key's id (state.replicate.key_id)"))
            }
            (_, "SignatureDoesNotMatch") => {
                refused(say!("the secret of the key is a wrong one (state.replicate.secret_file)"))
            }
            (_, "RequestTimeTooSkewed") => refused(say!(
                "its clock and the one of this machine differ by more than a quarter of an hour"
            )),
            (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") | (301 | 307, _) => refused(say!(
                "the bucket is in another region (state.replicate.region) or behind another address"
            )),
            (401 | 403 | 404, _) => refused(say!("the key may not do that here: {code}", code)),
            (501, _) => BucketError::Unsuitable {
                place: self.place(),
                why: say!("it does not know conditional writes (If-None-Match), which this needs"),
            },
            _ => self.away(format!("HTTP {status} {code}")),
        }
    }

    pub(super) fn put(&self, key: &str, bytes: &[u8], existing: Existing) -> Result<bool, BucketError> {
        let key = self.key(key);
        let mut action = self.bucket.put_object(Some(&self.credentials), &key);
        if existing == Existing::Kept {
            action.headers_mut().insert("if-none-match", "*");
        }
        let url = action.sign(SIGNED_FOR);
        let mut request =
            self.client.put(url).header(header::CONTENT_LENGTH, bytes.len()).body(bytes.to_vec());
        if existing == Existing::Kept {
            request = request.header(header::IF_NONE_MATCH, "*");
        }
        let answer = self.send(request)?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(true),
            StatusCode::PRECONDITION_FAILED if existing == Existing::Kept => Ok(false),
            // Two are writing it at the same moment; the next try tells who came first.
            StatusCode::CONFLICT => Err(self.away(say!("another one writes {key} at this moment", key))),
            _ => Err(self.fault(&answer)),
        }
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BucketError> {
        let key = self.key(key);
        let url = self.bucket.get_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let answer = self.send(self.client.get(url))?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer.body)),
            StatusCode::NOT_FOUND if is_no_such_key(&answer.body) => Ok(None),
            _ => Err(self.fault(&answer)),
        }
    }

    pub(super) fn list(&self, prefix: &str, after: &str) -> Result<Vec<String>, BucketError> {
        let (prefix, after) = (self.key(prefix), self.key(after));
        let (mut keys, mut token): (Vec<String>, Option<String>) = (Vec::new(), None);
        loop {
            let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
            action.with_prefix(prefix.as_str());
            match &token {
                Some(token) => action.with_continuation_token(token.as_str()),
                None => action.with_start_after(after.as_str()),
            }
            let answer = self.send(self.client.get(action.sign(SIGNED_FOR)))?;
            if answer.status != StatusCode::OK {
                return Err(self.fault(&answer));
            }
            let text = String::from_utf8_lossy(&answer.body);
            let page = ListObjectsV2::parse_response(&text)
                .map_err(|_| self.away(say!("its list of objects cannot be read")))?;
            let ours = page
                .contents
                .into_iter()
                .filter_map(|object| object.key.strip_prefix(&self.prefix).map(str::to_owned));
            keys.extend(ours);
            token = page.next_continuation_token.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
        let after = after.strip_prefix(&self.prefix).unwrap_or_default().to_owned();
        keys.retain(|key| *key > after);
        keys.sort();
        Ok(keys)
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), BucketError> {
        let key = self.key(key);
        let url = self.bucket.delete_object(Some(&self.credentials), &key).sign(SIGNED_FOR);
        let answer = self.send(self.client.delete(url))?;
        match answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            true => Ok(()),
            false => Err(self.fault(&answer)),
        }
    }
}

/// Whether an answer of 404 says that the object is not there: some servers say so of a key that they do not know, too, and
/// that must not be taken for a store without a state.
fn is_no_such_key(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&body[..body.len().min(REFUSAL_MAX)]);
    between(&text, "<Code>", "</Code>") == Some("NoSuchKey")
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    let rest = &text[text.find(from)? + from.len()..];
    rest.find(to).map(|end| &rest[..end])
}

/// Why no answer came.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return say!("it does not answer in time");
    }
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>().filter(|e| e.raw_os_error().is_some()) {
            return os_reason(error);
        }
        source = error.source();
    }
    match error.is_connect() {
        true => say!("it cannot be reached"),
        false => say!("the connection broke off"),
    }
}
