//! How large the result of a function can become, and how long it can take: every function of the engine is judged here,
//! and one that is not is refused ([`crate::rule`]). A test holds the list against the engine's registry.

/// What bounds the result of a scalar function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Growth {
    /// It is a number, or not much longer than what it is given, in time that grows with its length.
    Bounded,
    /// All that it is given, together.
    Sum,
    /// The second value and those after it, with the first between them.
    Separated,
    /// Lists side by side, each as long as the longest.
    Zipped,
    /// The first value, as often as the second says.
    Repeated,
    /// A text with as many characters as the second value says.
    Padded,
    /// A list with as many items as the second value says.
    Resized,
    /// The first value with the third in as many places as there are characters or items.
    Replaced,
    /// The items of the first value with the second between them, and the third in place of those that are missing.
    Joined,
    /// The first value in parts, wherever the second is in it.
    Cut,
    /// From the first value to the second in steps of the third.
    Series,
    /// A number, in time that grows with the product of the lengths.
    Compared,
    /// As [`Self::Compared`], by a pattern.
    Matched,
    /// What the groups of a pattern match, each of which may match all of the first value.
    Captured,
    /// A time as the second value says.
    Formatted,
}

/// How an aggregate keeps what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Numbers,
    /// Every value, or every different one.
    Values,
    /// The same, and all of them are in its result.
    Everything,
}

/// What bounds a scalar function; `None` for one that nobody has judged.
#[must_use]
pub(crate) fn of_scalar(name: &str) -> Option<Growth> {
    Some(match name {
        "concat" | "make_array" | "array_append" | "array_prepend" | "array_concat" | "struct"
        | "named_struct" | "map" | "overlay" | "array_union" | "||" => Growth::Sum,
        "concat_ws" => Growth::Separated,
        "arrays_zip" => Growth::Zipped,
        "repeat" | "array_repeat" => Growth::Repeated,
        "lpad" | "rpad" => Growth::Padded,
        "array_resize" => Growth::Resized,
        "replace" | "regexp_replace" | "array_replace" | "array_replace_n" | "array_replace_all" => {
            Growth::Replaced
        }
        "array_to_string" => Growth::Joined,
        "range" | "generate_series" => Growth::Series,
        "levenshtein" | "strpos" | "find_in_set" | "substr_index" | "split_part" | "array_has_any"
        | "array_has_all" | "array_except" | "array_intersect" | "array_remove_all" => Growth::Compared,
        "string_to_array" => Growth::Cut,
        "regexp_like" | "regexp_count" | "regexp_instr" => Growth::Matched,
        "regexp_match" => Growth::Captured,
        "to_char" => Growth::Formatted,
        name if BOUNDED.contains(&name) => Growth::Bounded,
        _ => return None,
    })
}

/// How an aggregate keeps what it is given; `None` for one that nobody has judged.
#[must_use]
pub(crate) fn of_aggregate(name: &str) -> Option<Keeps> {
    const NUMBERS: [&str; 29] = [
        "any_value",
        "approx_distinct",
        "approx_median",
        "approx_percentile_cont",
        "approx_percentile_cont_with_weight",
        "avg",
        "benford_mad",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bool_and",
        "bool_or",
        "corr",
        "count",
        "covar_pop",
        "covar_samp",
        "first_value",
        "grouping",
        "last_value",
        "max",
        "min",
        "nth_value",
        "stddev",
        "stddev_pop",
        "sum",
        "var",
        "var_pop",
        "var_samp",
        "stddev_samp",
    ];
    const VALUES: [&str; 5] = ["median", "median_deviation", "percentile_cont", "top_share", "top_value"];
    match name {
        "array_agg" | "string_agg" => Some(Keeps::Everything),
        name if NUMBERS.contains(&name) || name.starts_with("regr_") => Some(Keeps::Numbers),
        name if VALUES.contains(&name) => Some(Keeps::Values),
        _ => None,
    }
}

/// Scalar functions that are [`Growth::Bounded`].
const BOUNDED: &[&str] = &[
    // Numbers.
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "power",
    "radians",
    "random",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    "exact_add",
    "exact_subtract",
    "exact_multiply",
    "exact_divide",
    "+",
    "-",
    "*",
    "/",
    "widened",
    // Texts.
    "ascii",
    "bit_length",
    "decode",
    "encode",
    "btrim",
    "character_length",
    "chr",
    "contains",
    "ends_with",
    "initcap",
    "left",
    "lower",
    "ltrim",
    "octet_length",
    "reverse",
    "right",
    "rtrim",
    "starts_with",
    "substr",
    "to_hex",
    "translate",
    "upper",
    "uuid",
    // Times.
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "make_time",
    "now",
    "to_date",
    "to_local_time",
    "to_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    // One of what they are given, or its type.
    "arrow_cast",
    "arrow_field",
    "arrow_metadata",
    "arrow_try_cast",
    "arrow_typeof",
    "cast_to_type",
    "coalesce",
    "get_field",
    "greatest",
    "least",
    "nullif",
    "nvl",
    "nvl2",
    "try_cast_to_type",
    "union_extract",
    "union_tag",
    "version",
    "with_metadata",
    "file_row_index",
    "input_file_name",
    // Lists.
    "array_add",
    "array_any_value",
    "array_avg",
    "array_compact",
    "array_dims",
    "array_distance",
    "array_distinct",
    "array_element",
    "array_first",
    "array_has",
    "array_length",
    "array_max",
    "array_min",
    "array_ndims",
    "array_normalize",
    "array_pop_back",
    "array_pop_front",
    "array_position",
    "array_positions",
    "array_product",
    "array_remove",
    "array_remove_n",
    "array_reverse",
    "array_scale",
    "array_slice",
    "array_sort",
    "array_subtract",
    "array_sum",
    "cardinality",
    "cosine_distance",
    "empty",
    "flatten",
    "inner_product",
    "map_entries",
    "map_extract",
    "map_keys",
    "map_values",
    // Ours. Names are compared by their first 300 characters.
    "achievement",
    "code_known",
    "code_name",
    "code_related",
    "code_within",
    "company_core",
    "contains_any",
    "day_start",
    "fiscal_month",
    "fiscal_quarter",
    "fiscal_year_of",
    "in_list",
    "is_workday",
    "leading_digit",
    "local_day",
    "local_hour",
    "lookup",
    "name_in_list",
    "name_similarity",
    "normal_name",
    "roundness",
    "suspicious_text",
    "workdays_between",
];
