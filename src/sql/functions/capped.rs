//! Functions that could make much of little, with caps: how large a result will be is computed before it is made. The
//! caps hold wherever the function is called: for events, in queries, and where a constant is folded while rules are read.

use std::collections::BTreeSet;

use arrow::{compute::kernels::concat_elements::concat_elements_dyn, datatypes::DataType};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::{
        ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility,
    },
};
use parking_lot::RwLock;

use super::{
    costs::{CallInput, Cost, Costs},
    growth::{Growth, of_scalar},
    patterns,
};
use crate::{diagnostic::ExpressionProblem, say};

/// Bytes of one value.
pub(crate) const VALUE_BYTES: u64 = 256 << 10;
/// Items of one list.
const VALUE_ITEMS: u64 = 32 << 10;
/// Bytes of all values that are made at once.
const BATCH_BYTES: u64 = 16 << 20;
/// Comparisons of characters that are made at once.
const BATCH_WORK: u64 = 4_000_000_000;
/// Bytes of a pattern, and of the machine that it becomes.
const PATTERN_BYTES: usize = 4 << 10;
const MACHINE_BYTES: usize = 1 << 20;
/// Different patterns that are matched at once: the engine keeps the machine of each.
const PATTERNS: usize = 32;

/// A function that is asked beforehand how large its result will be.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Capped {
    inner: ScalarUDF,
    growth: Growth,
}

impl Capped {
    /// The function with its caps; the function itself if it needs none. `None` for one that nobody has judged.
    #[must_use]
    pub(crate) fn of(function: &ScalarUDF) -> Option<ScalarUDF> {
        match of_scalar(function.name())? {
            Growth::Bounded => Some(function.clone()),
            _ if function.inner().downcast_ref::<Self>().is_some() => Some(function.clone()),
            growth => Some(ScalarUDF::from(Self { inner: function.clone(), growth })),
        }
    }

    fn check(&self, args: &ScalarFunctionArgs) -> Result<(), ExpressionProblem> {
        let all_scalars = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if all_scalars { 1 } else { args.number_rows };
        let given = CallInput { args: &args.args };
        let name = self.inner.name();
        if name.starts_with("regexp_") {
            self.check_patterns(&given)?;
        }
        let costs = Costs::new(self.growth, &given).map_err(|_| unknown(name))?;
        let (mut all_bytes, mut all_work) = (0u64, 0u64);
        for row in 0..rows {
            let Cost { bytes, items, work } = costs.of(row);
            value(name, bytes, items)?;
            all_bytes = all_bytes.saturating_add(bytes);
            all_work = all_work.saturating_add(work);
        }
        values(name, all_bytes)?;
        if all_work > BATCH_WORK { Err(too_much(name)) } else { Ok(()) }
    }

    /// Each becomes a machine that is small enough, and there are few: patterns may come from data.
    fn check_patterns(&self, given: &CallInput<'_>) -> Result<(), ExpressionProblem> {
        let name = self.inner.name();
        let patterns = given.texts(1).map_err(|_| unknown(name))?;
        let mut known = BTreeSet::new();
        for text in patterns.iter().flat_map(|texts| texts.iter()).flatten() {
            if known.insert(text) {
                pattern(text, name)?;
            }
            if known.len() > PATTERNS {
                return Err(too_many_patterns(name));
            }
        }
        Ok(())
    }
}

impl ScalarUDFImpl for Capped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<arrow::datatypes::FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        match patterns::by_kept_machine(self.inner.name(), &args.args) {
            Some(result) => Ok(result),
            None => self.inner.invoke_with_args(args),
        }
    }
}

/// `||` of texts, which is an operator of the engine and not a function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined(Signature);

/// `left || right`, with caps.
#[must_use]
pub(crate) fn joined(left: Expr, right: Expr) -> Expr {
    let function = ScalarUDF::from(Joined(Signature::user_defined(Volatility::Immutable)));
    Capped::of(&function).unwrap_or(function).call(vec![left, right])
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &'static str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalars = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let result = concat_elements_dyn(&arrays[0], &arrays[1])?;
        Ok(match all_scalars {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }
}

/// Whether an operator matches a pattern.
#[must_use]
pub(crate) fn matches_pattern(operator: Operator) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    matches!(operator, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
}

/// Whether a pattern becomes a machine that is small enough, whether or not case counts; what is no pattern is told
/// elsewhere.
///
/// # Errors
/// If it does not.
pub(crate) fn pattern(text: &str, name: &str) -> Result<(), ExpressionProblem> {
    if is_known_to_fit(text) {
        return Ok(());
    }
    let fits = text.len() <= PATTERN_BYTES
        && !matches!(
            regex::RegexBuilder::new(text).case_insensitive(true).size_limit(MACHINE_BYTES).build(),
            Err(regex::Error::CompiledTooBig(_))
        );
    if fits {
        remember_that_it_fits(text);
        return Ok(());
    }
    Err(ExpressionProblem {
        message: say!("the pattern of '{name}' is too large", name),
        hint: say!("repeat less: '[0-9]+' instead of '[0-9]{{500}}'"),
        word: name.to_owned(),
    })
}

/// Patterns that are known to fit: to find out takes longer than to match a few texts. A small batch would do nothing else.
static FITTING: RwLock<BTreeSet<String>> = RwLock::new(BTreeSet::new());
/// So many are remembered. Patterns may come from data; those of rules are there from the start.
const REMEMBERED: usize = 1024;

fn is_known_to_fit(text: &str) -> bool {
    FITTING.read().contains(text)
}

fn remember_that_it_fits(text: &str) {
    let mut fitting = FITTING.write();
    if fitting.len() < REMEMBERED {
        fitting.insert(text.to_owned());
    }
}

/// Whether one value may have so many bytes and items.
///
/// # Errors
/// If it may not.
pub(crate) fn value(name: &str, bytes: u64, items: u64) -> Result<(), ExpressionProblem> {
    match bytes > VALUE_BYTES || items > VALUE_ITEMS {
        true => Err(too_large(name, bytes, items)),
        false => Ok(()),
    }
}

/// Whether values that are kept together may have so many bytes.
///
/// # Errors
/// If they may not.
pub(crate) fn values(name: &str, bytes: u64) -> Result<(), ExpressionProblem> {
    if bytes > BATCH_BYTES { Err(too_much(name)) } else { Ok(()) }
}

fn too_large(name: &str, bytes: u64, items: u64) -> ExpressionProblem {
    let (most, most_items) = (VALUE_BYTES, VALUE_ITEMS);
    let message = match bytes > VALUE_BYTES {
        true => say!("a value of '{name}' would have {bytes} bytes, {most} are allowed", name, bytes, most),
        false => {
            say!(
                "a list of '{name}' would have {items} items, {most_items} are allowed",
                name,
                items,
                most_items
            )
        }
    };
    ExpressionProblem { message, hint: say!("make a shorter one"), word: name.to_owned() }
}

fn too_many_patterns(name: &str) -> ExpressionProblem {
    ExpressionProblem {
        message: say!("'{name}' is given more than {most} different patterns", name, most = PATTERNS),
        hint: say!("join them with '|' into one"),
        word: name.to_owned(),
    }
}

fn too_much(name: &str) -> ExpressionProblem {
    ExpressionProblem {
        message: say!("the values of '{name}' are too long for so many rows", name),
        hint: say!("make shorter ones, or narrow the condition"),
        word: name.to_owned(),
    }
}

fn unknown(name: &str) -> ExpressionProblem {
    ExpressionProblem {
        message: say!("'{name}' does not take {types}", name, types = say!("these values")),
        hint: say!("see the functions in docs/rules.md and what they take"),
        word: name.to_owned(),
    }
}
