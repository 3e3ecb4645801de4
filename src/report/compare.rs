//! Two datasets side by side: which columns differ, and how much.

use serde_json::{Value, json};

use super::profile::summary::ColumnProfile;
use super::profile::{Profile, TopValue};

/// How two datasets differ, column by column, those first that differ most.
///
/// The distance of a column is the largest of these, each from 0 (the same) to 1 (nothing in common):
///
/// * of numbers, that of Kolmogorov and Smirnov: the largest difference between the shares of numbers
///   up to some number;
/// * of classes, text and truth values of at most 100 different values, the total variation: half the
///   sum of the differences between the shares of each value;
/// * of lengths, that of numbers; of shapes, that of values;
/// * the difference between the shares of missing values.
///
/// A column that only one of the two has, or that has another type, is at a distance of 1.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Comparison {
    /// Rows of the one and of the other.
    pub rows: (u64, u64),
    /// Columns, nested ones as the paths to them.
    pub columns: Vec<ColumnComparison>,
}

/// How a column differs.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ColumnComparison {
    /// The path to the column.
    pub name: String,
    /// From 0 to 1.
    pub distance: f64,
    /// What the distance is that of: `values`, `lengths`, `shapes`, `missing`, `type`, or `only in one`
    /// or `only in the other`.
    pub because: &'static str,
    /// Its types.
    pub types: (Option<String>, Option<String>),
    /// The shares of missing values.
    pub missing: (f64, f64),
    /// The means of its numbers.
    pub means: (Option<f64>, Option<f64>),
    /// Values and shapes that only the other has, with how often it does.
    pub new: Vec<TopValue>,
    /// Values and shapes that only the one has.
    pub gone: Vec<TopValue>,
}

impl Comparison {
    /// How `other` differs from `one`.
    #[must_use]
    pub fn of(one: &Profile, other: &Profile) -> Self {
        let mut columns = Vec::new();
        fields("", &one.columns, &other.columns, &mut columns);
        columns.sort_by(|a, b| b.distance.total_cmp(&a.distance));
        Self { rows: (one.rows, other.rows), columns }
    }

    /// The comparison as a JSON object with the members `rows` (of both) and `columns`, each with
    /// `name`, `distance`, `because`, `type`, `missing`, `mean` (of both), `new` and `gone`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let tops = |top: &[TopValue]| -> Value {
            top.iter().map(|t| json!({"value": t.value, "count": t.count})).collect()
        };
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|column| {
                json!({
                    "name": column.name,
                    "distance": column.distance,
                    "because": column.because,
                    "type": [column.types.0, column.types.1],
                    "missing": [column.missing.0, column.missing.1],
                    "mean": [column.means.0, column.means.1],
                    "new": tops(&column.new),
                    "gone": tops(&column.gone),
                })
            })
            .collect();
        json!({"rows": [self.rows.0, self.rows.1], "columns": columns})
    }
}

fn fields(path: &str, one: &[ColumnProfile], other: &[ColumnProfile], out: &mut Vec<ColumnComparison>) {
    let name = |column: &ColumnProfile| {
        if path.is_empty() { column.name.clone() } else { format!("{path}/{}", column.name) }
    };
    for column in one {
        match other.iter().find(|o| o.name == column.name) {
            Some(same) => {
                out.push(compare(name(column), column, same));
                fields(&name(column), &column.fields, &same.fields, out);
            }
            None => out.push(ColumnComparison {
                name: name(column),
                distance: 1.0,
                because: "only in one",
                types: (Some(column.data_type.clone()), None),
                ..ColumnComparison::default()
            }),
        }
    }
    for column in other.iter().filter(|o| !one.iter().any(|column| column.name == o.name)) {
        out.push(ColumnComparison {
            name: name(column),
            distance: 1.0,
            because: "only in the other",
            types: (None, Some(column.data_type.clone())),
            ..ColumnComparison::default()
        });
    }
}

fn compare(name: String, one: &ColumnProfile, other: &ColumnProfile) -> ColumnComparison {
    let missing = |column: &ColumnProfile| {
        if column.rows == 0 { 0.0 } else { column.missing as f64 / column.rows as f64 }
    };
    let mean = |column: &ColumnProfile| column.numbers.as_ref().and_then(|numbers| numbers.mean);
    let missing = (missing(one), missing(other));
    let mut distances = vec![("missing", (missing.0 - missing.1).abs())];
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    let is_class = |column: &ColumnProfile| column.is_class || column.numbers.is_none();
    if let (true, true, Some(one), Some(other)) =
        (is_class(one), is_class(other), all_values(one), all_values(other))
    {
        distances.push(("values", total_variation(one, other)));
        new.extend(without(other, one));
        gone.extend(without(one, other));
    } else if let Some(distance) = kolmogorov_smirnov(&one.values, &other.values) {
        distances.push(("values", distance));
    }
    if let (Some(a), Some(b)) = (&one.lengths, &other.lengths)
        && let Some(distance) = kolmogorov_smirnov(&a.values, &b.values)
    {
        distances.push(("lengths", distance));
    }
    if !one.shapes.is_empty() || !other.shapes.is_empty() {
        distances.push(("shapes", total_variation(&one.shapes, &other.shapes)));
        new.extend(without(&other.shapes, &one.shapes));
        gone.extend(without(&one.shapes, &other.shapes));
    }
    if one.data_type != other.data_type {
        distances.push(("type", 1.0));
    }
    // Of equal distances, that of the later kind, which says more.
    let (because, distance) =
        distances.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(("missing", 0.0));
    ColumnComparison {
        name,
        distance,
        because,
        types: (Some(one.data_type.clone()), Some(other.data_type.clone())),
        missing,
        means: (mean(one), mean(other)),
        new,
        gone,
    }
}

/// The values of a column if every one of them is known, and there are some.
fn all_values(column: &ColumnProfile) -> Option<&[TopValue]> {
    let distinct = column.distinct.filter(|distinct| distinct.exact && distinct.count > 0)?;
    (column.top_is_exact && distinct.count == column.top.len() as u64).then_some(&column.top)
}

fn without(values: &[TopValue], others: &[TopValue]) -> Vec<TopValue> {
    values.iter().filter(|value| !others.iter().any(|other| other.is(value))).cloned().collect()
}

/// Half the sum of the differences between the shares of each value.
fn total_variation(one: &[TopValue], other: &[TopValue]) -> f64 {
    let total = |values: &[TopValue]| values.iter().map(|value| value.count).sum::<u64>().max(1) as f64;
    let (of_one, of_other) = (total(one), total(other));
    let share = |value: &TopValue| {
        other.iter().find(|other| other.is(value)).map_or(0.0, |other| other.count as f64 / of_other)
    };
    let apart: f64 = one.iter().map(|value| (value.count as f64 / of_one - share(value)).abs()).sum();
    let new: f64 = without(other, one).iter().map(|value| value.count as f64 / of_other).sum();
    // Shares are rounded.
    ((apart + new) / 2.0).min(1.0)
}

/// The largest difference between the shares of numbers up to some number; none if one has none.
fn kolmogorov_smirnov(one: &[(f64, u64)], other: &[(f64, u64)]) -> Option<f64> {
    let total = |values: &[(f64, u64)]| values.iter().map(|(_, count)| count).sum::<u64>() as f64;
    let (all_one, all_other) = (total(one), total(other));
    if all_one == 0.0 || all_other == 0.0 {
        return None;
    }
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    let (mut below_one, mut below_other, mut largest) = (0u64, 0u64, 0.0f64);
    loop {
        let at = match (one.peek(), other.peek()) {
            (Some((a, _)), Some((b, _))) => a.min(*b),
            (Some((a, _)), None) => *a,
            (None, Some((b, _))) => *b,
            (None, None) => return Some(largest),
        };
        while let Some((_, count)) = one.next_if(|(value, _)| *value <= at) {
            below_one += count;
        }
        while let Some((_, count)) = other.next_if(|(value, _)| *value <= at) {
            below_other += count;
        }
        largest = largest.max((below_one as f64 / all_one - below_other as f64 / all_other).abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(counts: &[(&str, u64)]) -> Vec<TopValue> {
        counts
            .iter()
            .map(|(value, count)| TopValue { value: json!(value), count: *count, key: None })
            .collect()
    }

    #[test]
    fn distances_are_from_nothing_to_all() {
        // scipy.stats.ks_2samp([1, 2, 3, 4], [3, 4, 5, 6, 7]).statistic
        let one = [(1.0, 1), (2.0, 1), (3.0, 1), (4.0, 1)];
        let other = [(3.0, 1), (4.0, 1), (5.0, 1), (6.0, 1), (7.0, 1)];
        assert!((kolmogorov_smirnov(&one, &other).unwrap() - 0.6).abs() < 1e-12);
        assert_eq!(kolmogorov_smirnov(&one, &one), Some(0.0));
        assert_eq!(kolmogorov_smirnov(&[(0.0, 3)], &[(1.0, 9)]), Some(1.0));
        assert_eq!(kolmogorov_smirnov(&one, &[]), None);
        let distance = total_variation(&values(&[("a", 1), ("b", 1)]), &values(&[("b", 3), ("c", 1)]));
        assert!((distance - 0.5).abs() < 1e-12, "{distance}");
        assert_eq!(total_variation(&values(&[("a", 5)]), &values(&[("a", 1)])), 0.0);
        assert_eq!(total_variation(&values(&[("a", 5)]), &values(&[("b", 1)])), 1.0);
        // Shares whose sum is rounded to more than 1.
        let many: Vec<TopValue> =
            (0..25).flat_map(|at| values(&[(&format!("v{at}"), if at == 0 { 3 } else { 1 })])).collect();
        assert!(total_variation(&many, &values(&[("w", 1)])) <= 1.0);
        // Long texts that begin alike, and bytes that are shown as text in one dataset alone.
        let keyed = |text: &str, keys: &[u64]| -> Vec<TopValue> {
            keys.iter().map(|key| TopValue { value: json!(text), count: 1, key: Some(*key) }).collect()
        };
        assert_eq!(total_variation(&keyed("a…", &[1, 2, 3]), &keyed("61…", &[3, 2, 1])), 0.0);
        assert_eq!(total_variation(&keyed("a…", &[1, 2]), &keyed("a…", &[3, 4])), 1.0);
        assert_eq!(without(&keyed("a…", &[1, 2]), &keyed("61…", &[2])), keyed("a…", &[1]));
    }
}
