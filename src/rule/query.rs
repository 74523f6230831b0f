//! Schedule rules.

use super::{
    Rule,
    compile::{CompiledRule, Compiler},
    window::Schedule,
};
use crate::yaml::Document;

/// Compiles a schedule rule.
pub fn compile(_: &Compiler, d: &mut Document<'_>, rule: &Rule, _: Schedule) -> Option<CompiledRule> {
    d.problem(rule.span, "`trigger: schedule` is not supported by this version", None);
    None
}
