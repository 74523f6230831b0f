//! What columns of data are called.

use crate::{notify::words, say, text::spoken};

/// The title of a column that has a name in the API, as notifications have it too; the name of one that has no title.
pub(crate) fn title(name: &str) -> String {
    let own = match name {
        "approved" => say!("approved"),
        "year_elapsed" => say!("year elapsed"),
        "last_event_at" => say!("last event"),
        "forecast_year_end" => say!("forecast at the year's end"),
        "forecast_low" => say!("forecast, low"),
        "forecast_high" => say!("forecast, high"),
        "naive_year_end" => say!("at an even pace"),
        "forecast_basis" => say!("what the forecast is made of"),
        "indicator_id" => say!("indicator"),
        "indicator_name" => say!("name of the indicator"),
        "direction" => say!("direction"),
        "target" => say!("target"),
        "actual" => say!("actual"),
        "achievement" => say!("achieved"),
        "due" => say!("due"),
        "stated_at" => say!("stated"),
        _ => String::new(),
    };
    if !own.is_empty() {
        return own;
    }
    // Balances have the same names with and without their prefix.
    let known =
        |name: &str| Some(words::column(name, spoken())).filter(|title| *title != name).map(str::to_owned);
    known(name).or_else(|| known(&format!("budget.{name}"))).unwrap_or_else(|| name.to_owned())
}

/// What a handling is called.
pub(crate) fn handling(word: &str) -> String {
    match word {
        "block" => say!("block"),
        "explain" => say!("explain"),
        "warn" => say!("warn"),
        "remind" => say!("remind"),
        "record" => say!("keep on record"),
        other => other.to_owned(),
    }
}
