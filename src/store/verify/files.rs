//! Sealed files: checksums, counts, order, and the times and blocks that they are registered with.

use arrow::{
    array::AsArray,
    datatypes::{Int64Type, TimestampMicrosecondType},
};

use super::{Check, Problems};
use crate::{
    event::Column,
    journal::layout::block_of,
    say,
    store::{
        JournalView, Select, StoreError,
        history::{Snapshot, file, lost, parallel::Ordered, shape::ScanShape},
        sealed::SealedFile,
    },
};

pub(crate) fn check(history: &JournalView) -> Result<Check, StoreError> {
    let snapshot = &history.snapshot;
    let files = snapshot.files.clone();
    let (count, bytes) = (files.len(), files.iter().map(|f| f.bytes).sum::<i64>());
    let events = files.iter().map(|f| f.events).sum::<i64>();
    let shape = ScanShape::new(history.schema(), Some(&[Column::OccurredAt.index()]), true);
    let shape = shape.map_err(|e| StoreError::Request(e.to_string()))?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let source = std::sync::Arc::clone(snapshot);
    let results = Ordered::new(files, threads, move |sealed: SealedFile, take: &mut dyn FnMut(_) -> bool| {
        let problem = match look(&source, &sealed, &shape) {
            Ok(problem) => problem.map(|p| format!("{}: {p}", sealed.file)),
            Err(e) => Some(e.to_string()),
        };
        take(problem);
    });
    let mut problems = Problems::default();
    for result in results {
        if let Some(problem) = result.map_err(|e| lost(&snapshot.dir, e))? {
            problems.add(problem);
        }
    }
    Ok(problems.check(
        "sealed files",
        say!("{events} events in {files} files, {bytes} bytes", events, files = count, bytes),
    ))
}

/// What is wrong with a file that can be read.
fn look(snapshot: &Snapshot, sealed: &SealedFile, shape: &ScanShape) -> Result<Option<String>, StoreError> {
    file::verify(&snapshot.dir, sealed)?;
    let (mut events, mut last, mut first_at) = (0, (i64::MIN, i64::MIN), None);
    let (mut in_order, mut blocks) = (true, (i64::MAX, i64::MIN));
    file::read(&snapshot.dir, sealed, shape, &Select::default(), &mut |batch| {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>().values();
        let arrivals = batch.column(1).as_primitive::<Int64Type>().values();
        for place in times.iter().copied().zip(arrivals.iter().copied()) {
            in_order &= place > last;
            last = place;
            first_at.get_or_insert(place.0);
            blocks = (blocks.0.min(block_of(place.1)), blocks.1.max(block_of(place.1)));
        }
        events += batch.num_rows();
        true
    })?;
    Ok(if i64::try_from(events) != Ok(sealed.events) {
        Some(say!("it has {events} events and should have {wanted}", events, wanted = sealed.events))
    } else if !in_order {
        Some(say!("its events are not in order, or one is there twice"))
    } else if (first_at, last.0) != (Some(sealed.first_at.as_micros()), sealed.last_at.as_micros()) {
        Some(say!("its times are not those it is registered with"))
    } else if blocks != (sealed.first_seq, sealed.last_seq) {
        Some(say!("its events are not of the blocks it is registered with"))
    } else {
        None
    })
}
