//! Patterns of rules are machines that are kept. The engine makes one for each batch, which takes longer than to match the
//! few texts of a small batch: somebody who asks before money moves waits for it.

use std::{collections::HashMap, sync::Arc};

use arrow::array::{Array, AsArray, BooleanArray, StringViewArray, StringViewBuilder};
use datafusion::{common::ScalarValue, logical_expr::ColumnarValue};
use parking_lot::RwLock;
use regex::Regex;

/// Machines that are kept. Patterns may come from data; those of rules are there from the start.
const KEPT: usize = 256;

static MACHINES: RwLock<Option<HashMap<String, Regex>>> = RwLock::new(None);

/// What the function gives, if it is one of these and its pattern is the same for all texts: as the engine's own function
/// does, by the same library. `None` for all else.
pub(super) fn by_kept_machine(function: &str, args: &[ColumnarValue]) -> Option<ColumnarValue> {
    let ColumnarValue::Array(texts) = args.first()? else { return None };
    let (texts, pattern) = (texts.as_string_view_opt()?, constant(args.get(1)?)?);
    match (function, &args[2..]) {
        ("regexp_like", []) => {
            let machine = machine(pattern)?;
            Some(ColumnarValue::Array(Arc::new(matching(texts, &machine))))
        }
        ("regexp_replace", [with, flags @ ..]) => {
            // Groups are written in another way than the library's, which the engine translates.
            let with = constant(with).filter(|with| !with.contains('\\'))?;
            let most = match flags {
                [] => 1,
                [flags] if constant(flags)? == "g" => 0,
                _ => return None,
            };
            let machine = machine(pattern)?;
            Some(ColumnarValue::Array(Arc::new(replaced(texts, &machine, (with, most)))))
        }
        _ => None,
    }
}

fn constant(arg: &ColumnarValue) -> Option<&str> {
    match arg {
        ColumnarValue::Scalar(
            ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text),
        ) => text.as_deref(),
        _ => None,
    }
}

fn matching(texts: &StringViewArray, machine: &Regex) -> BooleanArray {
    texts.iter().map(|text| text.map(|text| machine.is_match(text))).collect()
}

/// The texts with so many of the matches replaced; with 0, all.
fn replaced(texts: &StringViewArray, machine: &Regex, (with, most): (&str, usize)) -> StringViewArray {
    let mut values = StringViewBuilder::with_capacity(texts.len());
    for text in texts {
        values.append_option(text.map(|text| machine.replacen(text, most, with)));
    }
    values.finish()
}

/// The machine of a pattern; `None` of what is none, which the engine tells of.
fn machine(pattern: &str) -> Option<Regex> {
    let kept = MACHINES.read();
    if let Some(machine) = kept.as_ref().and_then(|kept| kept.get(pattern)) {
        return Some(machine.clone());
    }
    drop(kept);
    let machine = Regex::new(pattern).ok()?;
    let mut kept = MACHINES.write();
    let kept = kept.get_or_insert_default();
    if kept.len() < KEPT {
        kept.insert(pattern.to_owned(), machine.clone());
    }
    Some(machine)
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::{
            array::ArrayRef,
            datatypes::{DataType, Field},
        },
        config::ConfigOptions,
        functions::regex,
        logical_expr::{ScalarFunctionArgs, ScalarUDF},
    };

    use super::*;

    const TEXTS: [Option<&str>; 9] = [
        Some(""),
        Some("00O1-23"),
        None,
        Some("622202120200001234500000"),
        Some("发票 No 12/A"),
        Some("$1 \\1"),
        Some("aaa"),
        Some("  Hua Li"),
        Some("一二三"),
    ];

    fn by_engine(function: &ScalarUDF, args: &[ColumnarValue]) -> ArrayRef {
        let fields: Vec<_> =
            args.iter().map(|arg| Arc::new(Field::new("arg", arg.data_type(), true))).collect();
        let types: Vec<DataType> = args.iter().map(ColumnarValue::data_type).collect();
        let return_field = Arc::new(Field::new("result", function.return_type(&types).unwrap(), true));
        let args = ScalarFunctionArgs {
            args: args.to_vec(),
            arg_fields: fields,
            number_rows: TEXTS.len(),
            return_field,
            config_options: Arc::new(ConfigOptions::default()),
        };
        function.invoke_with_args(args).unwrap().into_array(TEXTS.len()).unwrap()
    }

    #[test]
    fn kept_machines_give_what_the_engine_gives() {
        let texts = ColumnarValue::Array(Arc::new(StringViewArray::from_iter(TEXTS)));
        let text = |text: &str| ColumnarValue::Scalar(ScalarValue::Utf8(Some(text.to_owned())));
        let patterns = ["", "[^0-9]", "^[0-9]{15}0{3,}$", "^ *[A-Za-z]", "a", "(.)(.)", "[一二]+", "^$", "."];
        let mut compared = 0;
        for pattern in patterns.map(text) {
            // Twice: made, and kept.
            for _ in 0..2 {
                let like = [texts.clone(), pattern.clone()];
                let mut calls = vec![("regexp_like", regex::regexp_like(), like.to_vec())];
                for with in ["", "x", "$1", "${2}$1", "$0$0"].map(text) {
                    let once = vec![texts.clone(), pattern.clone(), with];
                    let all = [once.clone(), vec![text("g")]].concat();
                    calls.extend([once, all].map(|args| ("regexp_replace", regex::regexp_replace(), args)));
                }
                for (name, function, args) in calls {
                    let kept = by_kept_machine(name, &args).unwrap().into_array(TEXTS.len()).unwrap();
                    assert_eq!(&kept, &by_engine(&function, &args), "{name} {args:?}");
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, patterns.len() * 2 * 11);
        for other in [
            vec![texts.clone(), text("("), text("x")],
            vec![texts.clone(), text("a"), text("\\1")],
            vec![texts.clone(), text("a"), text("x"), text("gi")],
            vec![text("a"), text("a"), text("x")],
        ] {
            assert!(by_kept_machine("regexp_replace", &other).is_none(), "{other:?}");
        }
    }
}
