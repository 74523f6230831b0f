//! 答复 in the store: links by which units answer, and what they answer. A link is issued in the transaction in which its
//! letter goes out; an answer, its files and its record in the audit log are one transaction.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    CaseError, Cases, StoreError,
    alerts::{self, CauseTimes},
    attachments::{self, StoredFile},
    checksums::{self, SumChanges, Summed},
    explain,
    named::insert,
};
use crate::{
    access::{LinkKey, link_digest},
    alert::{Action, Alert, Desk, HistoryEntry, InquiryAnswer, desk::AlertUpdate, policy::FileLimits},
    event::{Instant, TimeDelta},
    say,
};

/// Answers that one link takes within an hour, and altogether.
const HOURLY_MAX: u32 = 5;
const ANSWERS_MAX: u32 = 20;
const HOUR: TimeDelta = TimeDelta::HOUR;
const DAY: TimeDelta = TimeDelta::DAY;

/// Why a link leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is none like that, or of another case.
    #[error("{}", say!("this link is not known; open it from the letter again, whole"))]
    Unknown,
    /// It was taken back, or a newer letter has another one.
    #[error("{}", say!("this link was taken back, or a newer letter has another one"))]
    Ended,
    /// It was good for long enough.
    #[error("{}", say!("this link has expired"))]
    Expired,
    /// Its case is over.
    #[error("{}", say!("this matter is closed; no answer is needed any more"))]
    Over,
    /// Too much came by it.
    #[error("{}", say!("too many answers were sent by this link"))]
    Flood,
    /// What came by it is refused.
    #[error(transparent)]
    Case(#[from] CaseError),
}

impl From<StoreError> for LinkError {
    fn from(error: StoreError) -> Self {
        Self::Case(error.into())
    }
}

/// Issues the link of a letter that goes out with this step, in its transaction; those of letters before it end.
pub(super) fn issue(
    dir: &std::path::Path,
    summed: &Summed<'_>,
    step: &AlertUpdate,
    desk: &Desk,
    now: Instant,
) -> rusqlite::Result<()> {
    let Some(letter) = step.alert.inquiry.as_ref().filter(|letter| letter.linked) else { return Ok(()) };
    let alert_id = &step.alert.alert_id;
    end(summed, alert_id, now)?;
    let failed = |error: std::io::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let token = LinkKey::or_make(dir).map_err(failed)?.token(alert_id, letter.at);
    let Some(digest) = token.as_deref().and_then(link_digest) else {
        return Err(failed(std::io::Error::other(say!("the key of links cannot be read"))));
    };
    let explain = desk.policy.explain.as_ref();
    let days = i64::from(explain.map_or(0, |explain| explain.link_days));
    let until = letter.due.as_deref().and_then(|due| due.parse::<jiff::civil::Date>().ok()?.tomorrow().ok());
    let until = until.and_then(|day| desk.policy.calendar.start_of_day(day).ok()).unwrap_or(now);
    let (digest, expires_at, ended_at) = (&digest[..], until.saturating_add(DAY * days), None::<i64>);
    insert!(summed.transaction, "INSERT OR IGNORE INTO answer_links", {
        digest, alert_id, made_at: now, expires_at, ended_at,
    })?;
    summed.inserted(&checksums::ANSWER_LINKS, [digest])
}

/// Ends the links of an alert.
pub(super) fn end(summed: &Summed<'_>, alert_id: &str, now: Instant) -> rusqlite::Result<()> {
    let sql = "UPDATE answer_links SET ended_at = :now WHERE alert_id = :alert AND ended_at IS NULL";
    summed.change_where(&checksums::ANSWER_LINKS, "alert_id = ?1", [alert_id], || {
        summed.transaction.prepare_cached(sql)?.execute(named_params! { ":now": now, ":alert": alert_id })
    })?;
    Ok(())
}

/// The alert of a token, if its link is good now.
fn alert_of(
    connection: &Connection,
    token: &str,
    now: Instant,
) -> rusqlite::Result<Result<Alert, LinkError>> {
    let Some(digest) = link_digest(token) else { return Ok(Err(LinkError::Unknown)) };
    let sql = "SELECT alert_id, expires_at, ended_at FROM answer_links WHERE digest = ?1";
    let found = connection.prepare_cached(sql)?.query_row([&digest[..]], |row| {
        Ok((
            row.get::<_, String>("alert_id")?,
            row.get::<_, i64>("expires_at")?,
            row.get::<_, Option<i64>>("ended_at")?,
        ))
    });
    let Some((alert_id, expires_at, ended_at)) = found.optional()? else {
        return Ok(Err(LinkError::Unknown));
    };
    let Some(alert) = alerts::find(connection, &alert_id)? else { return Ok(Err(LinkError::Unknown)) };
    Ok(match () {
        () if ended_at.is_some() => Err(LinkError::Ended),
        () if now >= Instant::from_micros(expires_at) => Err(LinkError::Expired),
        () if alert.state.is_over() => Err(LinkError::Over),
        () => Ok(alert),
    })
}

/// Whether one more answer may come now.
fn has_room(
    connection: &Connection,
    alert_id: &str,
    now: Instant,
) -> rusqlite::Result<Result<(), LinkError>> {
    let sql = "SELECT count(*), total(at > :since) FROM alert_history WHERE alert_id = :alert AND action = 'answer'";
    let (all, lately): (u32, f64) = connection
        .prepare_cached(sql)?
        .query_row(named_params! { ":alert": alert_id, ":since": now - HOUR }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let is_flood = all >= ANSWERS_MAX || lately >= f64::from(HOURLY_MAX);
    Ok(if is_flood { Err(LinkError::Flood) } else { Ok(()) })
}

impl Cases {
    /// The alert of a link, if it takes an answer now, with its latest findings, and what the unit answered so far.
    ///
    /// # Errors
    /// If it does not.
    pub fn linked(
        &self,
        token: &str,
        now: Instant,
        findings: u32,
    ) -> Result<(Alert, Vec<crate::finding::Finding>, Vec<HistoryEntry>), LinkError> {
        let alert = self.read(|c| alert_of(c, token, now))??;
        let (alert, history, findings) = self.show(&alert.alert_id, findings)?;
        let answers = history.into_iter().filter(|change| change.action == Action::Answer).collect();
        Ok((alert, findings, answers))
    }

    /// Whether a link takes an answer now, before anybody reads what is sent; and how many bytes of files its case has room for.
    ///
    /// # Errors
    /// If it does not.
    pub fn takes_answer(&self, token: &str, limits: FileLimits, now: Instant) -> Result<u64, LinkError> {
        let alert = self.read(|c| alert_of(c, token, now))??;
        self.read(|c| has_room(c, &alert.alert_id, now))??;
        Ok(self.read(|c| attachments::room(c, &alert.alert_id, limits))?)
    }

    /// Takes an answer: its files, its place in the history, and the record of it.
    ///
    /// # Errors
    /// If the link is not good any more, or the answer is refused. Nothing is kept then.
    pub fn answer(
        &mut self,
        token: &str,
        said: (String, String),
        files: &[StoredFile],
        desk: &Desk,
        now: Instant,
    ) -> Result<Alert, LinkError> {
        let taken = self.keep_answer(token, said, files, desk, now);
        if taken.is_err() {
            self.discard(files)?;
        }
        taken
    }

    fn keep_answer(
        &mut self,
        token: &str,
        (text, name): (String, String),
        files: &[StoredFile],
        desk: &Desk,
        now: Instant,
    ) -> Result<Alert, LinkError> {
        let dir = self.dir.clone();
        let fail = |error| LinkError::from(explain(&dir, error));
        let transaction = self.begin().map_err(fail)?;
        let changes = SumChanges::default();
        let summed = changes.within(&transaction);
        let alert = alert_of(&transaction, token, now).map_err(fail)??;
        has_room(&transaction, &alert.alert_id, now).map_err(fail)??;
        attachments::has_room(&transaction, &alert.alert_id, files, desk.policy.files)
            .map_err(fail)?
            .map_err(CaseError::from)?;
        let answer = InquiryAnswer { text, name, files: files.iter().map(StoredFile::fact).collect() };
        let step = desk.answer(alert, &answer, now).map_err(CaseError::from)?;
        alerts::save(&summed, &step, CauseTimes::at(now)).map_err(fail)?;
        if let Some(change) = &step.change {
            attachments::add(&dir, &summed, (&step.alert.alert_id, &change.who), files, now).map_err(fail)?;
            let detail = if change.facts.is_empty() {
                String::new()
            } else {
                alerts::json(&change.facts).map_err(fail)?
            };
            let deed = (&*format!("alerts.{}", change.action.word()), &*step.alert.alert_id, &*detail);
            self.tell(&summed, (&change.who, now), deed).map_err(fail)?;
        }
        changes.end(&transaction).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(step.alert)
    }
}
