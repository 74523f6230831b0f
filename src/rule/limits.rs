//! How large a rule may be. It is counted before anything is planned: no rule exhausts the stack, and none grows while it
//! is read, in `check` as in a daemon that reloads.

mod weight;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use datafusion::sql::sqlparser::{
    ast::{Expr as Sql, Statement},
    dialect::GenericDialect,
    keywords::Keyword,
    tokenizer::{Token, Tokenizer},
};

use super::Param;
use crate::{diagnostic::Failure, say};

/// The stack of every thread that reads, plans or evaluates rules. Pages that are not touched cost nothing.
pub(crate) const STACK: usize = 64 << 20;

/// Bytes of a file of rules.
pub(crate) const FILE_BYTES: usize = 1 << 20;
/// Rules of all files together.
const RULES: usize = 2000;
/// Bytes of one expression or query.
const SQL_BYTES: usize = 64 << 10;
/// Operators of one expression or query: each can make its tree one level deeper.
const OPERATORS: usize = 2000;
/// Brackets in one another; the parser gives up soon after.
const BRACKETS: usize = 40;
/// Levels of one expression, and parts of one UNION.
const DEPTH: usize = 200;
/// Tables of a query, each as often as it is read: those of a WITH once for every time that it is named.
const RELATIONS: u64 = 64;
/// Columns, calls and operators of a query, each as often as it is computed when names are replaced by what they mean.
const NODES: u64 = 20_000;
/// Values of lists, with those of constants in their places.
const ITEMS: usize = 50_000;

/// Does something with rules on a thread with the [`STACK`] that they are measured for, wherever it is asked for.
///
/// # Panics
/// If it panics.
pub(crate) fn on_a_stack<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name(String::from("rules")).stack_size(STACK);
        let spawned = builder.spawn_scoped(scope, || catch_unwind(AssertUnwindSafe(act)));
        let thread = spawned.expect("the system gives a thread for reading rules");
        match thread.join() {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) | Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Whether there are few enough rules.
///
/// # Errors
/// If there are too many.
pub(crate) fn rules(rules: usize) -> Result<(), Failure> {
    if rules <= RULES {
        return Ok(());
    }
    let message = say!("there are {rules} rules, {most} are allowed", rules, most = RULES);
    Err((message, Some(say!("put what differs between them into a reference list"))))
}

/// Whether a text is small enough to be parsed.
///
/// # Errors
/// What there is too much of.
pub(crate) fn text(sql: &str, params: &[(String, Param)]) -> Result<(), Failure> {
    let bytes = sql.len();
    if bytes > SQL_BYTES {
        let message = say!("it has {bytes} bytes, {most} are allowed", bytes, most = SQL_BYTES);
        return Err((message, Some(say!("put values into a list, or make several rules of it"))));
    }
    // What is no sequence of tokens is refused by the parser, with its place.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    let operators = tokens.iter().filter(|token| is_operator(token)).count();
    if operators > OPERATORS {
        let message = say!("it has {operators} operators, {most} are allowed", operators, most = OPERATORS);
        return Err((message, Some(shorter())));
    }
    let signs = in_a_row(&tokens);
    if signs > BRACKETS {
        let message = say!(
            "{signs} signs stand before one value (`not`, `-`), {most} are allowed",
            signs,
            most = BRACKETS
        );
        return Err((message, Some(say!("keep one of them, or none"))));
    }
    let nested = nested(&tokens);
    if nested > BRACKETS {
        let message =
            say!("{nested} brackets stand in one another, {most} are allowed", nested, most = BRACKETS);
        return Err((
            message,
            Some(say!("take out brackets that are not needed, or make several rules of it")),
        ));
    }
    let items: usize = tokens.iter().map(|token| items(token, params)).sum();
    if items > ITEMS {
        let message = say!("it has {items} values, {most} are allowed", items, most = ITEMS);
        return Err((message, Some(say!("put them into a reference list and use in_list"))));
    }
    Ok(())
}

/// Whether an expression is flat enough to be planned and evaluated.
///
/// # Errors
/// What there is too much of.
pub(crate) fn expression(sql: &Sql) -> Result<(), Failure> {
    let measured = weight::of_expression(sql);
    depth(measured.depth)?;
    nodes(measured.nodes)
}

/// Whether a query is small and flat enough to be planned and evaluated.
///
/// # Errors
/// What there is too much of, or that a WITH names itself.
pub(crate) fn query(statement: &Statement) -> Result<(), Failure> {
    let Statement::Query(query) = statement else { return Ok(()) };
    let measured = weight::of_query(query);
    if measured.recursive {
        let message = say!("a WITH that reads itself is not allowed");
        return Err((message, Some(say!("write as many joins as there are steps"))));
    }
    depth(measured.depth)?;
    if measured.relations > RELATIONS {
        let message = say!(
            "it reads {relations} tables, {most} are allowed; a table of WITH counts every time that it is named",
            relations = at_most(measured.relations),
            most = RELATIONS
        );
        return Err((message, Some(say!("group the rows first, or make several rules of it"))));
    }
    nodes(measured.nodes)
}

fn depth(depth: usize) -> Result<(), Failure> {
    if depth <= DEPTH {
        return Ok(());
    }
    let message =
        say!("{depth} conditions or parts stand in one another, {most} are allowed", depth, most = DEPTH);
    Err((message, Some(shorter())))
}

fn nodes(nodes: u64) -> Result<(), Failure> {
    if nodes <= NODES {
        return Ok(());
    }
    let message = say!(
        "it computes {nodes} columns, calls and operators, {most} are allowed; a column of a query in it counts with all that it is made of",
        nodes = at_most(nodes),
        most = NODES
    );
    Err((message, Some(shorter())))
}

/// A count that may have been too large to count.
fn at_most(count: u64) -> String {
    const MANY: u64 = 1_000_000_000;
    if count > MANY { say!("more than {many}", many = MANY) } else { count.to_string() }
}

fn shorter() -> String {
    say!("write `column in (…)`, use a reference list, or make several rules of it")
}

/// How deep brackets go.
fn nested(tokens: &[Token]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The most `not` and signs that follow one another: each is a level of its own to the parser.
fn in_a_row(tokens: &[Token]) -> usize {
    let (mut run, mut longest) = (0, 0);
    for token in tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))) {
        run = match token {
            Token::Minus | Token::Plus | Token::Tilde | Token::ExclamationMark => run + 1,
            Token::Word(word) if word.keyword == Keyword::NOT => run + 1,
            _ => 0,
        };
        longest = longest.max(run);
    }
    longest
}

/// Whether a token can stand for a level of its own in the tree.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::NOTNULL
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::MINUS
                | Keyword::JOIN
                | Keyword::DIV
        ),
        Token::Number(..)
        | Token::Placeholder(_)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::RBrace
        | Token::SemiColon
        | Token::EOF => false,
        token => !is_text(token),
    }
}

fn is_text(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::DollarQuotedString(_)
    )
}

/// How many values a token stands for.
fn items(token: &Token, params: &[(String, Param)]) -> usize {
    match token {
        Token::Placeholder(name) => {
            let named = params.iter().find(|(param, _)| Some(param.as_str()) == name.strip_prefix('$'));
            named.map_or(1, |(_, value)| length(value))
        }
        token if is_text(token) || matches!(token, Token::Number(..)) => 1,
        _ => 0,
    }
}

fn length(param: &Param) -> usize {
    match param {
        Param::List(values) => values.iter().map(length).sum(),
        _ => 1,
    }
}
