//! Questions on a terminal about what a file does not tell.

use std::io::{BufRead, Write};

use crate::{
    guess::{Guess, Sample},
    say,
};

/// Asks for each field that nothing gives: a column by its name or number, or a value for all rows.
pub(crate) fn missing(sample: &Sample, guess: &mut Guess) -> std::io::Result<()> {
    if guess.missing.is_empty() {
        return Ok(());
    }
    for (at, column) in sample.columns.iter().enumerate() {
        let example = sample.values(at).next().unwrap_or_default();
        println!("  {:>3}  {column}  {example}", at + 1);
    }
    println!(
        "{}",
        say!("for each field: the number of its column, or = and a value for all rows; empty leaves it open")
    );
    let mut answers = std::io::stdin().lock().lines();
    for field in std::mem::take(&mut guess.missing) {
        print!("{field}: ");
        std::io::stdout().flush()?;
        let answer = answers.next().transpose()?.unwrap_or_default();
        if !take(sample, guess, field, answer.trim()) {
            guess.missing.push(field);
        }
    }
    Ok(())
}

/// Takes an answer. `false` if it is none.
fn take(sample: &Sample, guess: &mut Guess, field: &'static str, answer: &str) -> bool {
    if let Some(value) = answer.strip_prefix('=').map(str::trim).filter(|value| !value.is_empty()) {
        guess.constants.push((field, value.to_owned()));
        return true;
    }
    let by_number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let by_name = sample.columns.iter().position(|column| column == answer);
    match by_number.filter(|at| *at < sample.columns.len()).or(by_name).filter(|_| !answer.is_empty()) {
        Some(at) => {
            guess.columns.push((at, field));
            true
        }
        None => false,
    }
}
