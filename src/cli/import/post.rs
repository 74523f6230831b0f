//! The events of files, posted to a daemon.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use serde_json::{Map as Object, Value};

use crate::{
    cli::runtime,
    config::Config,
    decode::{Decoded, Decoder, Reading},
    event::schema::FIELDS,
    say,
    source::{Chunks, Format, file::file_block},
    sql::value,
    stream::Receipt,
};

/// Rows of one request.
const ROWS: usize = 2000;

/// Posts them, and tells what became of them.
pub(crate) fn events(
    url: &str,
    files: &[PathBuf],
    reading: &Reading,
    config: &Config,
) -> anyhow::Result<ExitCode> {
    let url = format!("{}/api/v1/events", url.trim_end_matches('/'));
    let decoder = Decoder::new(Arc::clone(&config.calendar)).reading(reading.clone());
    let Some(map) = reading.map() else {
        bail!(say!("internal error: {message}. Please report this", message = "no map"))
    };
    let client = reqwest::Client::new();
    let (runtime, mut total) = (runtime()?, Receipt::default());
    for path in files {
        let mut chunks = Chunks::open(path, Format::of(path, map.format), ROWS, (0, 0), false, Some(map))?;
        while let Some(chunk) = chunks.next_chunk()? {
            let block = file_block(&"import".into(), path, chunk.first_record, chunk.payload, None);
            let decoded = decoder.decode(&[block], None);
            for reject in &decoded.rejects {
                let (file, row) = (path.display(), reject.record);
                eprintln!("{}", say!("{file}: row {row}: {detail}", file, row, detail = reject.detail));
            }
            total += Receipt {
                rejected: decoded.rejects.len() as u64,
                skipped: decoded.skipped.iter().sum(),
                ..Receipt::default()
            };
            if !decoded.types.is_empty() {
                total += runtime.block_on(send(&client, &url, lines(&decoded, config)))?;
            }
        }
    }
    println!(
        "{}",
        say!(
            "{seen} records: {accepted} accepted, {duplicates} known already, {rejected} rejected, {skipped} empty",
            seen = total.seen(),
            accepted = total.accepted,
            duplicates = total.duplicates,
            rejected = total.rejected,
            skipped = total.skipped
        )
    );
    Ok(if total.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The variable with the token of whoever posts.
const TOKEN: &str = "FISCWATCH_TOKEN";

async fn send(client: &reqwest::Client, url: &str, body: String) -> anyhow::Result<Receipt> {
    let mut request = client.post(url).header("content-type", "application/x-ndjson").body(body);
    // Not an option: every process of the machine sees a command line.
    if let Ok(token) = std::env::var(TOKEN) {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.with_context(|| say!("{url} does not answer", url))?;
    let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
    if status == reqwest::StatusCode::UNAUTHORIZED {
        bail!(say!(
            "{url} asks who you are: put a token with the role ingest into the variable {variable} (fiscwatch token add)",
            url,
            variable = TOKEN
        ));
    }
    if !status.is_success() {
        bail!(say!("{url} answered {status}: {text}", url, status = status.as_u16(), text));
    }
    let answer: Value =
        serde_json::from_str(&text).with_context(|| say!("{url} does not answer as fiscwatch does", url))?;
    let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
    Ok(Receipt {
        accepted: count("accepted"),
        duplicates: count("duplicates"),
        rejected: count("rejected"),
        skipped: count("skipped"),
    })
}

/// Events as JSON Lines.
fn lines(decoded: &Decoded, config: &Config) -> String {
    let mut lines = String::new();
    for row in 0..decoded.types.len() {
        let mut object = Object::new();
        for (at, field) in FIELDS.iter().enumerate() {
            let value = value(decoded.events.column(at), row, &config.calendar);
            if !value.is_null() {
                object.insert(field.name.to_owned(), value);
            }
        }
        lines += &Value::Object(object).to_string();
        lines.push('\n');
    }
    lines
}
