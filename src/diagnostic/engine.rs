//! What the query engine and its parser have against an expression, in our words. Nothing of theirs goes through: a
//! message that is not known here becomes one that says less, and never one that says it in their words.

use std::sync::LazyLock;

use datafusion::common::DataFusionError;
use regex::{Captures, Regex};

use super::words::type_named;
use crate::say;

/// What is wrong, and a hint.
pub type Failure = (String, Option<String>);

/// A problem that our own code found while an expression was planned or evaluated.
#[derive(Debug)]
pub struct ExpressionProblem {
    pub(crate) message: String,
    pub(crate) hint: String,
    /// The word it is about, as it is written; empty if the whole expression is meant.
    pub word: String,
}

impl std::fmt::Display for ExpressionProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExpressionProblem {}

impl From<ExpressionProblem> for DataFusionError {
    fn from(refusal: ExpressionProblem) -> Self {
        Self::External(Box::new(refusal))
    }
}

/// An error of the query engine in our words.
#[must_use]
pub fn failure(error: &DataFusionError) -> Failure {
    match error.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<ExpressionProblem>() {
            Some(refusal) => (refusal.message.clone(), Some(refusal.hint.clone())),
            // What our own code says of a table or a limit.
            None if inner.is::<DataFusionError>() => told(&inner.to_string()),
            None => {
                let text = inner.to_string();
                known(&text).unwrap_or((text, None))
            }
        },
        root => told(&root.strip_backtrace()),
    }
}

/// The same without the hint: for what goes wrong while events flow. What is quoted comes from an event, and whoever
/// reads this may not be one who sees payments; so only a word of the rule is quoted.
#[must_use]
pub fn at_run_time(error: &DataFusionError) -> String {
    let word = word_of(error);
    let quoted = |c: &Captures<'_>| match &c[1] == word {
        true => c[0].to_owned(),
        false => "'…'".to_owned(),
    };
    QUOTED.replace_all(&failure(error).0, quoted).into_owned()
}

/// The word of the rule that an error of our own is about.
fn word_of(error: &DataFusionError) -> &str {
    match error.find_root() {
        DataFusionError::External(inner) => {
            inner.downcast_ref::<ExpressionProblem>().map_or("", |refusal| &refusal.word)
        }
        _ => "",
    }
}

static QUOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new("'([^']*)'").expect("a pattern"));

type Says = fn(&Captures<'_>) -> Failure;

/// The messages that are known: a pattern, and what we say instead.
static KNOWN: LazyLock<Vec<(Regex, Says)>> = LazyLock::new(|| {
    let table: [(&str, Says); 39] = [
        (r"(?i)placeholder\W.*?(\$\w+)", |c| {
            (
                say!("there is no constant {name} in a query", name = &c[1]),
                Some(say!("write the value itself")),
            )
        }),
        (r"more than (\d+) (?:different )?values", |c| {
            (
                say!("more than {most} different values in one group", most = &c[1]),
                Some(say!("narrow the window, or what it is grouped by")),
            )
        }),
        (r"(?i)divi(de|sion) by zero", |_| {
            (say!("a division by zero"), Some(say!("write nullif(…, 0) around what it is divided by")))
        }),
        (
            r"(?i)overflow|too large to store|has too many digits|too large for precision|has more than 38 digits",
            |_| (say!("the result has too many digits"), None),
        ),
        (r"(?i)regular expression|regex parse error|invalid regex|Regexp", |_| {
            (
                say!("the pattern is not a regular expression"),
                Some(say!("check its brackets and backslashes, such as '^[A-Z]{{2}}[0-9]+$'")),
            )
        }),
        (r"[Nn]o function matches the given name and argument types '(\w+)\(([^']*)\)'", |c| {
            (
                say!("'{name}' does not take {types}", name = &c[1], types = listed(&c[2])),
                Some(say!("see the functions in docs/rules.md and what they take")),
            )
        }),
        (
            r"Failed to coerce arguments to satisfy a call to '(\w+)' function: coercion from (?:Types )?(.*?) to the signature",
            |c| {
                (
                    say!("'{name}' does not take {types}", name = &c[1], types = listed(&c[2])),
                    Some(say!("see the functions in docs/rules.md and what they take")),
                )
            },
        ),
        (
            r"'(\w+)' does not support zero arguments|[Ff]unction '(\w+)' expect(?:s|ed) .*(?:argument|zero)|The (\w+) function requires|(\w+) function requires .* argument|'(\w+)' (?:takes|needs) (?:one|two|exactly|a )",
            |c| {
                let name = (1..c.len()).find_map(|at| c.get(at)).map_or("", |m| m.as_str());
                (
                    say!("'{name}' is given too many or too few values", name),
                    Some(say!("see the functions in docs/rules.md and what they take")),
                )
            },
        ),
        (r"'(\S+)' needs (?:an exact decimal|numbers).*, not ([A-Z]\w+(?:\([^)]*\))?)", |c| {
            (
                say!(
                    "'{name}' needs an amount or a whole number, not {kind}",
                    name = &c[1],
                    kind = typed(&c[2])
                ),
                None,
            )
        }),
        (r"Invalid function '(.*?)'", |c| (say!("there is no function '{name}'", name = &c[1]), None)),
        (
            r"(?i)(?:comparison|logical boolean|bitwise|regex|like) operation (\S.*?) (=|!=|<>|<=|>=|<|>|AND|OR|~|!~|LIKE|IS DISTINCT FROM|IS NOT DISTINCT FROM) (\S.*?)(?: to valid types|$|\.|\n)",
            |c| {
                (
                    say!("{left} cannot be compared with {right}", left = typed(&c[1]), right = typed(&c[3])),
                    Some(say!("text stands in single quotes, numbers do not; '2026-01-05' is a day")),
                )
            },
        ),
        (
            r"(?i)arithmetic (?:expression|operation) (\S.*?) ([-+*/%]) (\S.*?)(?: to valid types|$|\.|\n)",
            |c| {
                (
                    say!(
                        "{left} {sign} {right} cannot be computed",
                        left = typed(&c[1]),
                        sign = &c[2],
                        right = typed(&c[3])
                    ),
                    Some(say!(
                        "arithmetic needs numbers, or an instant and an interval such as interval '3 days'"
                    )),
                )
            },
        ),
        (r"(?i)argument type[s]? for (?:IN|InList)|expr IN \(list\)|InList|in list expression", |_| {
            (
                say!("the values in `in (…)` are not all of the column's kind"),
                Some(say!("text stands in single quotes, numbers do not")),
            )
        }),
        (r"(?i)LIKE expression.* (\S+) and (\S+)|no common type in (?:I?LIKE|ILIKE) expression", |_| {
            (say!("`like` compares texts only"), Some(say!("use = or > for numbers")))
        }),
        (r"(?i)CASE (?:expression|WHEN)|then/else", |_| {
            (
                say!("the parts of `case` are not of one kind"),
                Some(say!("give all of them the same kind: numbers, texts or instants")),
            )
        }),
        (r"(?i)Cannot cast (?:string|value) '(.*?)' to (?:value of )?(.*?)(?: type|$|\n)", |c| {
            (say!("'{text}' is not {kind}", text = &c[1], kind = typed(&c[2])), None)
        }),
        (
            r"(?i)(?:Unsupported CAST|Casting|Unsupported cast|cast) from (.*?) to (.*?)(?: not supported|$|\n|\))",
            |c| (say!("{from} cannot be made {to}", from = typed(&c[1]), to = typed(&c[2])), None),
        ),
        (
            r"(?i)parsing timestamp from '(.*?)'|parse(?:ing)? (?:the )?date from '(.*?)'|Cannot cast string '(.*?)' to value of (?:Date|Timestamp)",
            |c| {
                let text = (1..c.len()).find_map(|at| c.get(at)).map_or("", |m| m.as_str());
                (
                    say!("'{text}' is neither a day nor an instant", text),
                    Some(say!("write '2026-01-05' or '2026-01-05T08:00:00+08:00'")),
                )
            },
        ),
        (r"(?i)type interval|invalid interval|parse interval", |_| {
            (
                say!("the interval is not a length of time"),
                Some(say!("write interval '3 days', interval '2 hours' or interval '1 month'")),
            )
        }),
        (r"(?i)table '([^']*)' not found|No table named '([^']*)'", |c| {
            let name = c.get(1).or_else(|| c.get(2)).map_or("", |m| m.as_str());
            (say!("there is no table '{name}'", name = bare(name)), None)
        }),
        (r"(?i)table function '(\w+)'", |c| (say!("'{name}' cannot stand in FROM", name = &c[1]), None)),
        (r"(?i)[Aa]mbiguous reference to unqualified field (\S+)", |c| {
            (
                say!("the column '{name}' is in several tables", name = bare(&c[1])),
                Some(say!("put the table's name before it, such as p.amount")),
            )
        }),
        (r"(?i)No field named (\S+?)\.?(?: Did you mean|\s+Valid fields|\s|$)", |c| {
            (say!("there is no column '{name}'", name = bare(&c[1])), None)
        }),
        (r#"(?i)column "?([^"]+?)"? must appear in the GROUP BY"#, |c| {
            (
                say!("the column '{name}' stands outside of an aggregate", name = bare(&c[1])),
                Some(say!("name it in GROUP BY, or put it into an aggregate such as max(…)")),
            )
        }),
        (r"(?i)GROUP BY|aggregate function", |_| {
            (
                say!("an aggregate and a column that is not in GROUP BY stand side by side"),
                Some(say!("name every column that is not in an aggregate in GROUP BY")),
            )
        }),
        (
            r"(?i)single SQL statement|(?:DDL|DML|COPY|Statement) not supported|Unsupported SQL statement|CREATE|INSERT",
            |_| (say!("a query only reads"), Some(say!("write one SELECT"))),
        ),
        (r"(?i)duplicate (?:unqualified |qualified )?field name (\S+)|unique expression names", |_| {
            (
                say!("two columns of the query have one name"),
                Some(say!("give one of them another name with AS")),
            )
        }),
        (r"(?i)UNION|same number of columns", |_| {
            (say!("the parts of UNION do not have the same columns"), None)
        }),
        (r"(?i)Resources exhausted|memory", |_| {
            (
                say!("the query needs more memory than it may use"),
                Some(say!("narrow its condition, or raise engine.query_memory_mib")),
            )
        }),
        (r"(?i)Scalar subquery|more than one row", |_| {
            (
                say!("a query in brackets gives more than one row"),
                Some(say!("put its column into an aggregate such as max(…)")),
            )
        }),
        (r"(?i)Unterminated (?:string literal|quoted)|[Uu]nterminated", |_| {
            (
                say!("a quote is not closed"),
                Some(say!("close the text with ', and write '' for a quote in it")),
            )
        }),
        (r"(?i)expected: end of (?:expression|statement), found: (.*?)(?: at Line|$)", |c| {
            (
                say!("{word} is not expected here", word = token(&c[1])),
                Some(say!("join conditions with `and` or `or`")),
            )
        }),
        (r"(?i)found: EOF", |_| {
            (
                say!("the expression ends too early"),
                Some(say!("something is missing at its end: a value, a closing bracket, `end`")),
            )
        }),
        (r"(?i)expected: .*?, found: (.*?)(?: at Line|$)", |c| {
            (
                say!("{word} is not expected here", word = token(&c[1])),
                Some(say!("a value, a column or a bracket is missing before it")),
            )
        }),
        (r"(?i)(?:ParserError|TokenizerError|sql parser error|SQL error)", |_| {
            (
                say!("this cannot be read"),
                Some(say!("write it as SQL: amount > 10000 and settlement = 'cash'")),
            )
        }),
        (r"[Ff]unction '?(\w+)'?|call to '(\w+)'|[Tt]he (\w+) function", |c| {
            let name = (1..c.len()).find_map(|at| c.get(at)).map_or("", |m| m.as_str());
            (
                say!("'{name}' does not take {types}", name, types = say!("these values")),
                Some(say!("see the functions in docs/rules.md and what they take")),
            )
        }),
        (r"(?i)correlated|subquery|lateral", |_| {
            (say!("a query within a query is too complicated here"), Some(say!("write it as a join")))
        }),
        (r#"there is no list "(\w+)""#, |c| {
            (
                say!("there is no list \"{list_name}\"", list_name = &c[1]),
                Some(say!("name its file under `lists:` in the configuration")),
            )
        }),
        (r"(?i)a list's name|there is no list|the list's name|lookup|the key of", |_| {
            (say!("the list or its column is not there"), None)
        }),
    ];
    table.into_iter().filter_map(|(pattern, says)| Some((Regex::new(pattern).ok()?, says))).collect()
});

fn known(message: &str) -> Option<Failure> {
    KNOWN.iter().find_map(|(pattern, says)| Some(says(&pattern.captures(message)?)))
}

fn told(message: &str) -> Failure {
    known(message).unwrap_or_else(|| {
        (
            say!("this cannot be evaluated"),
            Some(say!(
                "make it simpler: compare one thing after the other, and check the kinds of the values"
            )),
        )
    })
}

/// A type's name of theirs as ours.
fn typed(word: &str) -> String {
    let word = word.trim().trim_end_matches([':', '.']);
    type_named(word).unwrap_or_else(|| say!("this value"))
}

/// Several types: `Utf8View, Decimal128(18, 2)`.
fn listed(types: &str) -> String {
    static TYPE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\w+(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?").ok());
    let Some(pattern) = &*TYPE else { return String::new() };
    let names: Vec<_> = pattern.find_iter(types).filter_map(|word| type_named(word.as_str())).collect();
    match names.is_empty() {
        true => say!("these values"),
        false => names.join(&say!(" and ")),
    }
}

/// A column's name without its table and quotes.
fn bare(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).trim_matches(['"', '\'', '.']).to_owned()
}

/// A token as it is written.
fn token(word: &str) -> String {
    match word.trim().trim_end_matches(['"', ')']) {
        "" => String::from(")"),
        "EOF" => say!("the end"),
        word => format!("`{word}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_messages_become_ours() {
        assert_eq!(KNOWN.len(), 39, "a pattern cannot be read");
        for (theirs, ours) in [
            ("Arrow error: Divide by zero error", "a division by zero"),
            (
                "Arrow error: Arithmetic overflow: Overflow happened on: 2 * 9",
                "the result has too many digits",
            ),
            (
                "Cannot infer common argument type for comparison operation Decimal128(18, 2) > Boolean",
                "an amount cannot be compared with true or false",
            ),
            (
                "Cannot coerce arithmetic expression Utf8View + Int64 to valid types",
                "a text + a whole number cannot be computed",
            ),
            ("Cannot cast string 'abc' to value of Decimal128(38, 10) type", "'abc' is not a decimal number"),
            (
                "Parser error: Error parsing timestamp from 'x': error parsing date",
                "'x' is neither a day nor an instant",
            ),
            ("table 'datafusion.public.payment' not found", "there is no table 'payment'"),
            ("Schema error: No field named p.unit. Valid fields are p.amount.", "there is no column 'unit'"),
            (
                "SQL error: ParserError(\"Expected: an expression, found: EOF\")",
                "the expression ends too early",
            ),
            (
                "SQL error: ParserError(\"Expected: end of expression, found: settlement at Line: 1, Column: 9\")",
                "`settlement` is not expected here",
            ),
            ("something that nobody has seen in Decimal128", "this cannot be evaluated"),
        ] {
            assert_eq!(told(theirs).0, ours);
        }
    }
}
