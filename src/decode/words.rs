//! What the kinds of values are called where a record is refused.

use crate::say;

/// A kind of value, found or wanted, as its reader calls it.
pub(crate) fn kind(word: &str) -> String {
    match word {
        "nothing" => say!("nothing"),
        "text" => say!("text"),
        "a number" => say!("a number"),
        "a decimal" => say!("a decimal"),
        "a timestamp" => say!("a timestamp"),
        "a list" => say!("a list"),
        "an object" => say!("an object"),
        "true or false" => say!("true or false"),
        "a string" => say!("a string"),
        "a list of strings" => say!("a list of strings"),
        "a list that is not of strings" => say!("a list that is not of strings"),
        "a string with a broken escape" => say!("a string with a broken escape"),
        "a decimal as a string or a number" => say!("a decimal as a string or a number"),
        "a year of four digits" => say!("a year of four digits"),
        "a value out of range" => say!("a value out of range"),
        "a floating-point number" => say!("a floating-point number"),
        "a cell that is merged with the one above or beside it" => {
            say!("a cell that is merged with the one above or beside it")
        }
        "a formula that was never calculated" => say!("a formula that was never calculated"),
        "of a column type that no field can have" => say!("of a column type that no field can have"),
        other => other.to_owned(),
    }
}
