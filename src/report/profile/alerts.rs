//! What to look at first.

use serde_json::{Value, json};

use super::summary::{ColumnProfile, quantile};
use super::{Profile, TopValue};
use crate::report::numbers::{count, decimal};
use crate::text::fit;

/// Something about a dataset that whoever trains with it should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alert {
    /// The column, as the path to it; none if it is about rows.
    pub column: Option<String>,
    /// `damage`, `no_rows`, `missing`, `constant`, `nan`, `infinite`, `out_of_range`, `imbalanced`,
    /// `zeros`, `empty`, `not_media`, `outliers` or `duplicates`.
    pub kind: &'static str,
    /// What was found, in a sentence.
    pub text: String,
}

impl Alert {
    pub(super) fn to_json(&self) -> Value {
        json!({"column": self.column, "kind": self.kind, "text": self.text})
    }
}

/// The share of rows from which on something is mostly so.
const MOSTLY: f64 = 0.5;
/// The share of the most frequent class from which on classes are imbalanced.
const IMBALANCED: f64 = 0.8;
/// How many times less frequent the rarest class is than the most frequent, likewise.
const RARE: f64 = 20.0;
/// Classes, at most, of a column that is taken for one of classes.
const CLASSES: u64 = 100;
/// How many times as far from the median as the quantiles 0.01 and 0.99 an extreme is, at least, to
/// be an outlier.
const FAR: f64 = 20.0;

/// The alerts of a profile, the gravest kinds first.
pub(super) fn of(profile: &Profile) -> Vec<Alert> {
    const ORDER: [&str; 13] = [
        "damage",
        "no_rows",
        "nan",
        "infinite",
        "out_of_range",
        "not_media",
        "missing",
        "constant",
        "imbalanced",
        "empty",
        "zeros",
        "outliers",
        "duplicates",
    ];
    let mut alerts = Vec::new();
    let mut whole = |kind, text| alerts.push(Alert { column: None, kind, text });
    if profile.damaged > 0 {
        whole("damage", format!("{} could not be read.", many(profile.damaged, "record")));
    }
    if profile.rows == 0 {
        whole("no_rows", "There are no rows.".to_owned());
    }
    let (equal, hashed) = profile.duplicates;
    if equal > 0 {
        let of = if hashed == profile.rows { "rows" } else { "rows chosen by chance" };
        whole(
            "duplicates",
            format!("{} of {} {of} {} equal to another.", count(equal), count(hashed), are(equal)),
        );
    }
    for column in &profile.columns {
        of_column(column, &column.name, &mut alerts);
    }
    alerts.sort_by_key(|alert| ORDER.iter().position(|kind| *kind == alert.kind));
    alerts
}

fn of_column(column: &ColumnProfile, path: &str, alerts: &mut Vec<Alert>) {
    let mut tell = |kind, text: String| alerts.push(Alert { column: Some(path.to_owned()), kind, text });
    let there = column.rows - column.missing;
    if column.rows > 0 && column.missing as f64 > MOSTLY * column.rows as f64 {
        let share = share(column.missing, column.rows);
        let what =
            if there == 0 { "Every value is".to_owned() } else { format!("{share} of the values are") };
        tell("missing", format!("{what} missing."));
    }
    if let (Some(numbers), true) = (&column.numbers, there > 0) {
        let all = numbers.count + numbers.nan + numbers.infinite;
        if numbers.nan > 0 {
            tell("nan", format!("{} NaN ({}).", many_are(numbers.nan, "value"), share(numbers.nan, all)));
        }
        if numbers.infinite > 0 {
            let share = share(numbers.infinite, all);
            tell("infinite", format!("{} infinite ({share}).", many_are(numbers.infinite, "value")));
        }
        let only_zero = numbers.range.as_ref().is_some_and(|(least, greatest)| least == greatest);
        if numbers.zeros as f64 > 0.9 * all as f64 && !only_zero && !column.is_class {
            tell("zeros", format!("{} of the values are zero.", share(numbers.zeros, all)));
        }
        outliers(column, &mut tell);
    }
    if let (Some(names), Some((least, greatest))) =
        (&column.classes, column.numbers.as_ref().and_then(|n| n.range.as_ref()))
    {
        let outside = |value: &Value| value.as_i64().is_some_and(|value| names.name(value).is_none());
        if outside(least) || outside(greatest) {
            let text =
                format!("Labels are from {least} to {greatest}, and there are {} classes.", names.len());
            tell("out_of_range", text);
        }
    }
    let distinct = column.distinct.filter(|distinct| distinct.exact).map(|distinct| distinct.count);
    if distinct == Some(1) && there > 1 {
        let value = column.top.first().map(|top| format!(": {}", shown(top))).unwrap_or_default();
        let text = if column.missing > 0 {
            "Every value that is there is the same"
        } else {
            "Every value is the same"
        };
        tell("constant", format!("{text}{value}."));
    }
    imbalance(column, there, &mut tell);
    if let Some(lengths) = &column.lengths
        && lengths.numbers.zeros as f64 > MOSTLY * there as f64
        && there > 0
    {
        let share = share(lengths.numbers.zeros, there);
        tell("empty", format!("{share} of the values are empty."));
    }
    if let Some(media) = &column.media
        && media.other > 0
    {
        let text =
            format!("{} of {} {} no {}.", count(media.other), count(there), are(media.other), media.kind);
        tell("not_media", text);
    }
    for field in &column.fields {
        of_column(field, &format!("{path}/{}", field.name), alerts);
    }
}

/// Of few classes, whether one is most of the values, or one is rare.
fn imbalance(column: &ColumnProfile, there: u64, tell: &mut dyn FnMut(&'static str, String)) {
    let Some(distinct) = column.distinct.filter(|d| d.exact && d.count > 1 && d.count <= CLASSES) else {
        return;
    };
    if !column.is_class || column.data_type == "Boolean" || !column.top_is_exact {
        return;
    }
    let (Some(most), Some(least)) = (column.top.first(), column.top.last()) else { return };
    let total: u64 = column.top.iter().map(|top| top.count).sum();
    if most.count as f64 > IMBALANCED * total as f64 {
        let share = share(most.count, total.max(there.min(total)));
        tell("imbalanced", format!("{share} of the values are {}.", shown(most)));
    } else if distinct.count == column.top.len() as u64 && most.count as f64 > RARE * least.count as f64 {
        let text = format!(
            "{} is there {} times, {} {} times.",
            shown(most),
            count(most.count),
            shown(least),
            count(least.count)
        );
        tell("imbalanced", text);
    }
}

/// Whether an extreme is far from the other numbers.
fn outliers(column: &ColumnProfile, tell: &mut dyn FnMut(&'static str, String)) {
    let total: u64 = column.values.iter().map(|(_, count)| count).sum();
    if total < 100 {
        return;
    }
    let at = |q| quantile(&column.values, total, q);
    let (Some(low), Some(middle), Some(high)) = (at(0.01), at(0.5), at(0.99)) else { return };
    let Some((least, greatest)) = column.numbers.as_ref().and_then(|n| n.range.as_ref()) else { return };
    let reach = (high - middle).max(middle - low);
    let far = |end: &Value| end.as_f64().is_some_and(|end| reach > 0.0 && (end - middle).abs() > FAR * reach);
    let ends: Vec<String> =
        [least, greatest].into_iter().filter(|end| far(end)).filter_map(Value::as_f64).map(decimal).collect();
    if !ends.is_empty() {
        let text = format!(
            "98 % of the values are from {} to {}; there is also {}.",
            decimal(low),
            decimal(high),
            ends.join(" and ")
        );
        tell("outliers", text);
    }
}

fn shown(top: &TopValue) -> String {
    const WIDTH: usize = 60;
    let text = top.value.as_str().map_or_else(|| top.value.to_string(), |text| format!("“{text}”"));
    fit(&text, WIDTH).into_owned()
}

/// A share in per cent; never 0 % or 100 % of what is neither.
pub(crate) fn share(part: u64, all: u64) -> String {
    if all == 0 || part == 0 {
        return "0 %".to_owned();
    }
    let per_cent = part as f64 / all as f64 * 100.0;
    match per_cent {
        _ if part == all => "100 %".to_owned(),
        p if p < 0.1 => "< 0.1 %".to_owned(),
        p if p > 99.9 => "> 99.9 %".to_owned(),
        p => format!("{p:.1} %"),
    }
}

fn many(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{} {what}s", count(number)) }
}

fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

fn many_are(count: u64, what: &str) -> String {
    format!("{} {}", many(count, what), are(count))
}
