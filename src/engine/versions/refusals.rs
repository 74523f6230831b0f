//! What a version of a record cannot say after the one before.

use super::{difference::VersionDifference, state::StandingEvents};
use crate::{
    decode::{
        Decoded,
        versions::{RowVersion, Stated, Version, of_interest},
    },
    say,
    stream::RejectReason,
    text::quoted,
};

/// Why a version cannot follow the one before, or be the same one, if so.
pub(super) fn contradicts(
    before: &Version,
    version: &RowVersion,
    difference: &VersionDifference,
) -> Option<(RejectReason, String)> {
    if !before.is_like(&version.version) {
        let detail = say!(
            "the version {shown} cannot be compared with the one before: one is a time, a number or a text, and the other is not",
            shown = quoted(&version.shown)
        );
        return Some((RejectReason::WrongType, detail));
    }
    (version.version == *before && !difference.is_none()).then(|| {
        let detail = say!(
            "the version {shown} came before with other content: name as `version` a column that grows with every change",
            shown = quoted(&version.shown)
        );
        (RejectReason::Conflict, detail)
    })
}

/// Why a record cannot become what a version says, if so: only applications and payments can be taken back.
pub(super) fn cannot_become(
    standing: &StandingEvents,
    version: &RowVersion,
    decoded: &Decoded,
) -> Option<String> {
    let taken = standing.application.is_some() || standing.payment.is_some();
    let content = || of_interest(&decoded.events, decoded.contents[version.row], version.row);
    match (version.stated, standing.other) {
        (Stated::Refused, _) | (Stated::Void, None) => None,
        (Stated::Void, Some(_)) => Some(say!(
            "this record was taken in as something else than an application or a payment, and a later version does not take that back: enter what undoes it as a record of its own"
        )),
        (Stated::Other, None) => taken.then(|| {
            say!(
                "this record was an application or a payment before, and is something else now: take it back with a version that is void, and enter the other as a record of its own"
            )
        }),
        (Stated::Other, Some(before)) => (before != content()).then(|| {
            say!(
                "this record was taken in with other content, and only applications and payments change: enter what changes it as a record of its own"
            )
        }),
        (_, other) => other.map(|_| {
            say!(
                "this record was taken in as something else than an application or a payment, and cannot become one: enter it as a record of its own"
            )
        }),
    }
}
