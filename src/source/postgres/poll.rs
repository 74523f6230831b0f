//! Reading in rounds: each is one read-only transaction that reads, page by page, what lies beyond what was read before,
//! and a stretch before that once more.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt;
use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::{Client, IsolationLevel, Portal, Transaction, types::Type};
use tokio_util::task::AbortOnDropHandle;

use super::{
    BACK_OFF, PostgresSource, row,
    shape::{TableShape, rows_without},
    trouble::within,
    window::{Digest, RecentRows, TablePosition},
};
use crate::{
    say,
    source::{Outlet, PartitionStatus, Positions},
    stream::{Block, Payload, Position, Span},
    text::quoted,
};

/// A block is sent when it holds so many bytes.
const BLOCK_BYTES: usize = 4 << 20;
/// How often it is looked whether there are rows that can never be read.
const LOOK_FOR_NULLS: Duration = Duration::from_hours(1);
/// The most of them that are counted.
const NULLS_MAX: usize = 1000;
/// What trouble with such rows is told under.
const NULLS: &str = "cursor";

pub(crate) struct TableReader<'s> {
    source: &'s PostgresSource,
    outlet: &'s Outlet,
    partition: Arc<str>,
    /// Rows that were sent; where the next span starts.
    sent: u64,
    /// The largest value of the cursor that was read.
    reached: Option<String>,
    window: RecentRows,
    page: Page,
    looked_for_nulls: Option<std::time::Instant>,
}

/// What was read and is not sent yet.
#[derive(Default)]
struct Page {
    lines: Vec<u8>,
    new: u64,
    /// All rows, those that were known too.
    rows: Vec<Digest>,
    reached: Option<String>,
    again: u64,
    late: u64,
}

impl<'s> TableReader<'s> {
    /// A reader that goes on where the store is.
    pub(crate) fn new(source: &'s PostgresSource, outlet: &'s Outlet, positions: &Positions) -> Self {
        let name = source.relation.name();
        let stored = positions.get(name);
        let place = stored.and_then(|position| serde_json::from_str::<TablePosition>(&position.token).ok());
        let place = place.filter(|place| {
            let same = place.cursor == source.cursor;
            if !same {
                tracing::warn!(
                    source = %outlet.name,
                    "postgres: {name} was read by the column {}, and is read by {} now: it is read from its start, and what is known already changes nothing",
                    place.cursor, source.cursor
                );
            }
            same
        });
        Self {
            source,
            outlet,
            partition: name.into(),
            sent: stored.map_or(0, |position| position.offset),
            window: place.as_ref().map(TablePosition::window).unwrap_or_default(),
            reached: place.map(|place| place.at),
            page: Page::default(),
            looked_for_nulls: None,
        }
    }

    /// Connects and reads round after round; once, until the end of the first.
    ///
    /// # Errors
    /// What is wrong; nothing that was read and not sent is remembered.
    pub(crate) async fn session(
        &mut self,
        tls: &MakeTlsConnector,
        wait: &mut Duration,
    ) -> Result<(), String> {
        let limit = self.source.statement_timeout;
        let (mut client, connection) = within(limit, self.source.connection.connect(tls.clone())).await?;
        // It carries questions and answers until the client or this function is gone.
        let _connection = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("postgres: the connection ended: {error}");
            }
        }));
        let prepared = self.prepare_session();
        within(limit, client.batch_execute(&prepared)).await?;
        loop {
            let round = self.round(&mut client).await;
            if round.is_err() {
                self.page = Page::default();
                self.window.break_off();
            }
            round?;
            *wait = BACK_OFF.0;
            self.caught_up();
            if self.outlet.once {
                return Ok(());
            }
            self.look_for_nulls(&client).await;
            tokio::time::sleep(self.source.every).await;
        }
    }

    /// What makes texts the same everywhere, and the session harmless.
    fn prepare_session(&self) -> String {
        format!(
            "SET default_transaction_read_only = on; SET statement_timeout = {}; SET TimeZone = 'UTC'; \
             SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 3; SET bytea_output = 'hex'",
            self.source.statement_timeout.as_millis().min(i32::MAX.unsigned_abs().into())
        )
    }

    async fn round(&mut self, client: &mut Client) -> Result<(), String> {
        let limit = self.source.statement_timeout;
        let shape = TableShape::ask(client, self.source).await?;
        let begin =
            client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let transaction = within(limit, begin.start()).await?;
        let portal = match &self.reached {
            Some(value) => {
                let query = transaction.prepare_typed(&shape.from_value, &[Type::TEXT]);
                let query = within(limit, query).await?;
                within(limit, transaction.bind(&query, &[value])).await?
            }
            None => {
                let query = within(limit, transaction.prepare(&shape.from_start)).await?;
                within(limit, transaction.bind(&query, &[])).await?
            }
        };
        while self.read_page(&transaction, &portal, &shape).await? {}
        within(limit, transaction.commit()).await?;
        self.window.turn();
        Ok(())
    }

    /// Reads and sends a page; `false` if it was the last one.
    async fn read_page(
        &mut self,
        transaction: &Transaction<'_>,
        portal: &Portal,
        shape: &TableShape,
    ) -> Result<bool, String> {
        let limit = self.source.statement_timeout;
        let most = self.source.page_rows.min(u32::try_from(self.outlet.rows).unwrap_or(u32::MAX));
        let rows = transaction.query_portal_raw(portal, i32::try_from(most).unwrap_or(i32::MAX));
        let mut rows = pin!(within(limit, rows).await?);
        let mut count = 0;
        while let Some(row) = within(limit, rows.try_next()).await? {
            count += 1;
            let start = self.page.lines.len();
            let read = row::append(&row, shape, self.source, &mut self.page.lines);
            let read = read
                .map_err(|error| say!("the database answers what is not understood: {text}", text = error))?;
            self.take(read, start);
            if self.page.lines.len() >= BLOCK_BYTES {
                self.send().await;
            }
        }
        self.send().await;
        Ok(count == most)
    }

    /// Takes a row that stands in the page from `start` on, unless it is known.
    fn take(&mut self, row: row::Read, start: usize) {
        match self.window.knows(row.digest) {
            true => {
                self.page.lines.truncate(start);
                self.page.again += 1;
            }
            false => {
                self.page.new += 1;
                self.page.late += u64::from(!row.is_beyond && self.window.is_whole());
            }
        }
        self.page.rows.push(row.digest);
        if row.is_beyond {
            self.page.reached = Some(row.at);
        }
    }

    /// Sends what was read, with the place that is reached by it.
    async fn send(&mut self) {
        let page = std::mem::take(&mut self.page);
        page.rows.iter().for_each(|row| self.window.take(*row));
        self.reached = page.reached.or(self.reached.take());
        self.outlet.status.rows(page.again, page.late);
        if page.new == 0 {
            return;
        }
        let place = TablePosition::new(
            &self.source.cursor,
            self.reached.as_deref().unwrap_or_default(),
            &self.window,
        );
        let (from, to) = (self.sent, self.sent + page.new);
        let token = serde_json::to_string(&place).unwrap_or_default();
        let span = Span {
            source: Arc::clone(&self.outlet.name),
            partition: Arc::clone(&self.partition),
            from,
            to: Position { offset: to, records: to, token },
        };
        let payload = Payload::JsonLines(Bytes::from(page.lines));
        let block = Block::new(Arc::clone(&self.outlet.name), Arc::clone(&self.partition), from, payload);
        self.sent = to;
        // If nobody takes blocks any more, the source is asked to stop.
        let _ = self.outlet.blocks.send(Block { span: Some(span), ..block }).await;
    }

    /// A round is complete: nothing is wrong, and everything that was there is read.
    fn caught_up(&self) {
        let name = self.source.relation.name();
        self.outlet.status.reads(name);
        if self.outlet.status.recovered(name) {
            tracing::info!(source = %self.outlet.name, "postgres: {name} is read again");
        }
        self.outlet.status.partition(name, PartitionStatus { next: self.sent, lag: 0 });
    }

    /// Rows without a value of the cursor are never read, which is told.
    async fn look_for_nulls(&mut self, client: &Client) {
        if self.looked_for_nulls.is_some_and(|at| at.elapsed() < LOOK_FOR_NULLS) {
            return;
        }
        self.looked_for_nulls = Some(std::time::Instant::now());
        let query = rows_without(self.source, NULLS_MAX);
        let answer = within(self.source.statement_timeout, client.query_one(&query, &[])).await;
        // Where that takes too long, there is no index, and the next session asks again.
        let Ok(count) = answer.map(|row| row.try_get::<_, &str>(0).unwrap_or_default().to_owned()) else {
            return;
        };
        if count == "0" {
            self.outlet.status.recovered(NULLS);
            return;
        }
        let trouble = say!(
            "{count} rows or more have no value in {column}, so they are never read. Fill it, or take a cursor that is NOT NULL",
            count,
            column = quoted(&self.source.cursor)
        );
        if self.outlet.status.trouble(NULLS, &trouble) {
            tracing::warn!(source = %self.outlet.name, "postgres: {trouble}");
        }
    }
}
