//! A card for each column: what it holds, drawn and in numbers.

use std::fmt::Write;

use super::Other;
use super::chart::{histogram, meter, shares, values};
use super::text::{count, decimal, escape, many, name, one, plain_name, value};
use crate::report::profile::{ColumnProfile, Lengths, Numbers};

/// Values that are listed where all of them are known.
const LISTED: u64 = 100;

/// The anchor of the column at `path`.
pub(super) fn anchor(path: &[usize]) -> String {
    let parts: Vec<String> = path.iter().map(ToString::to_string).collect();
    format!("c{}", parts.join("-"))
}

/// What kind of column it is, in a word or two.
pub(super) fn kind(column: &ColumnProfile) -> &'static str {
    let media = column.media.as_ref().map(|media| media.kind);
    let is_list = column.data_type.starts_with("List") || column.data_type.starts_with("LargeList");
    match (media, &column.numbers, &column.lengths) {
        (Some("image"), _, _) => "images",
        (Some("sound"), _, _) => "sound",
        (Some(_), _, _) => "video",
        _ if column.data_type == "Boolean" => "truth values",
        _ if column.is_class => "classes",
        _ if column.data_type.starts_with("FixedSizeList") || column.data_type.starts_with("Struct<data") => {
            "tensors"
        }
        _ if is_list && !column.fields.is_empty() => "sequences",
        _ if is_list => "lists",
        _ if column.data_type.starts_with("Struct") => "structs",
        (_, Some(_), _) => "numbers",
        (_, _, Some(lengths)) if lengths.unit == "characters" => "text",
        (_, _, Some(_)) => "bytes",
        _ => "other",
    }
}

/// The card of a column and of what is nested in it.
pub(super) fn card(column: &ColumnProfile, path: &[usize], prefix: &str, other: Option<Other<'_>>) -> String {
    let theirs = other.and_then(|other| find(&other.profile.columns, prefix, &column.name));
    let full = if prefix.is_empty() { column.name.clone() } else { format!("{prefix}/{}", column.name) };
    let level = if path.len() > 1 { 4 } else { 3 };
    let mut out = format!(
        "<article class=\"card\" id=\"{}\"><header><h{level}>{}</h{level}><span class=\"tag\">{}</span></header>\
         <p class=\"type\">{}{}</p>",
        anchor(path),
        name(&full),
        kind(column),
        escape(&crate::text::fit(&column.data_type, 160)),
        column.feature.as_ref().map(|feature| format!(" · {}", escape(feature))).unwrap_or_default(),
    );
    out.push_str(&facts(column));
    let what = plain_name(&full);
    let there = column.rows - column.missing;
    if let Some(media) = &column.media {
        out.push_str(&values("Formats", &media.formats, there, None));
        if let Some(seconds) = &media.seconds {
            out.push_str(&section(
                "Length in seconds",
                &of_lengths(&format!("the seconds of {what}"), seconds, None),
            ));
        }
    }
    if !column.shapes.is_empty() {
        let shapes = theirs.map(|theirs| (theirs.shapes.as_slice(), theirs.rows - theirs.missing));
        let caption = if column.media.is_some() { "Sizes, height × width" } else { "Shapes" };
        out.push_str(&values(caption, &column.shapes, there, shapes));
    }
    let all_listed = column.distinct.is_some_and(|distinct| distinct.exact && distinct.count <= LISTED);
    let is_class = column.is_class;
    if let Some(numbers) = &column.numbers
        && !(is_class && all_listed)
        && numbers.range.as_ref().is_some_and(|(least, greatest)| least != greatest)
    {
        let shares = theirs.and_then(|theirs| shares(numbers.histogram.as_ref()?, &theirs.values));
        let unit = if path.len() > 1 || kind(column) == "tensors" || kind(column) == "lists" {
            "numbers"
        } else {
            "values"
        };
        out.push_str(&histogram(&what, unit, numbers, shares.as_deref()));
        out.push_str(&quantiles(numbers));
    }
    let often = column.top.first().is_some_and(|top| top.count > 1);
    if often && (column.numbers.is_none() || is_class) {
        let caption = match (all_listed, column.top_is_exact) {
            (true, _) if is_class => "Classes",
            (true, _) => "Values",
            (_, true) => "Most frequent values",
            (_, false) => "Most frequent values, at least so often",
        };
        let total = column.numbers.as_ref().map_or(there, |numbers| numbers.count);
        let others = theirs.map(|theirs| {
            (theirs.top.as_slice(), theirs.numbers.as_ref().map_or(theirs.rows - theirs.missing, |n| n.count))
        });
        out.push_str(&values(caption, &column.top, total, others));
    }
    if let Some(lengths) =
        column.lengths.as_ref().filter(|lengths| !(often && all_listed && lengths.unit == "characters"))
    {
        let theirs = theirs.and_then(|theirs| theirs.lengths.as_ref());
        let inner = of_lengths(&format!("the lengths of {what}"), lengths, theirs);
        out.push_str(&section(&format!("Length in {}", lengths.unit), &inner));
    }
    out.push_str("</article>");
    for (at, field) in column.fields.iter().enumerate() {
        out.push_str(&card(field, &[path, &[at]].concat(), &full, other));
    }
    out
}

/// The column of this name in another dataset, by the path to it.
fn find<'a>(columns: &'a [ColumnProfile], prefix: &str, name: &str) -> Option<&'a ColumnProfile> {
    if prefix.is_empty() {
        return columns.iter().find(|column| column.name == name);
    }
    // Names may hold slashes themselves, so that every column is tried.
    columns.iter().find_map(|column| {
        let rest = prefix.strip_prefix(column.name.as_str())?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => column.fields.iter().find(|field| field.name == name),
            Some(rest) => find(&column.fields, rest, name),
            None => None,
        }
    })
}

fn section(title: &str, inner: &str) -> String {
    if inner.is_empty() { String::new() } else { format!("<h5>{}</h5>{inner}", escape(title)) }
}

/// Lengths: all one, or drawn.
fn of_lengths(what: &str, lengths: &Lengths, other: Option<&Lengths>) -> String {
    let numbers = &lengths.numbers;
    match &numbers.range {
        Some((least, greatest))
            if least == greatest && other.is_none_or(|other| other.numbers.range == numbers.range) =>
        {
            format!("<p class=\"note\">Always {}.</p>", value(least, 40))
        }
        Some(_) => {
            let shares = other.and_then(|other| shares(numbers.histogram.as_ref()?, &other.values));
            histogram(what, lengths.unit, numbers, shares.as_deref()) + &quantiles(numbers)
        }
        None => String::new(),
    }
}

/// The facts of a column, in pairs.
fn facts(column: &ColumnProfile) -> String {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    let share = crate::report::profile::share(column.missing, column.rows);
    let missing = match column.missing {
        0 => "none".to_owned(),
        missing => format!(
            "{} ({}) {}",
            count(missing),
            escape(&share),
            meter("warn", missing as f64 / column.rows as f64)
        ),
    };
    pairs.push(("missing", missing));
    if let Some(distinct) = column.distinct {
        let about = if distinct.exact { "" } else { "about " };
        pairs.push(("distinct", format!("{about}{}", count(distinct.count))));
    }
    if let Some(numbers) = column.numbers.as_ref().filter(|_| !column.is_class) {
        let is_constant = numbers.range.as_ref().is_some_and(|(least, greatest)| least == greatest);
        match &numbers.range {
            Some((least, _)) if is_constant => pairs.push(("always", value(least, 40))),
            Some((least, greatest)) => {
                pairs.push(("range", format!("{} to {}", value(least, 40), value(greatest, 40))));
            }
            None => {}
        }
        if let Some(mean) = numbers.mean.filter(|_| !is_constant) {
            let spread = numbers.std.map(|std| format!(" ± {}", decimal(std))).unwrap_or_default();
            pairs.push(("mean ± std", format!("{}{spread}", decimal(mean))));
        }
        let all = numbers.count + numbers.nan + numbers.infinite;
        let some = |number: u64| {
            format!("{} ({})", count(number), escape(&crate::report::profile::share(number, all)))
        };
        if numbers.zeros > 0 {
            pairs.push(("zeros", some(numbers.zeros)));
        }
        if numbers.nan > 0 {
            pairs.push(("NaN", some(numbers.nan)));
        }
        if numbers.infinite > 0 {
            pairs.push(("infinite", some(numbers.infinite)));
        }
        if numbers.count != column.rows - column.missing {
            pairs.push((if all > numbers.count { "finite" } else { "numbers" }, count(numbers.count)));
        }
    }
    if let Some(names) = &column.class_names {
        pairs.push(("classes", count(names.len() as u64)));
    }
    if let Some(lengths) = &column.lengths
        && let (Some((least, greatest)), Some(mean)) = (&lengths.numbers.range, lengths.numbers.mean)
    {
        let range = if least == greatest {
            value(least, 40)
        } else {
            format!("{} to {}, mean {}", value(least, 40), value(greatest, 40), decimal(mean))
        };
        pairs.push((if range == "1" { one(lengths.unit) } else { lengths.unit }, range));
    }
    let pairs: String =
        pairs.iter().map(|(term, text)| format!("<div><dt>{term}</dt><dd>{text}</dd></div>")).collect();
    format!("<dl class=\"facts\">{pairs}</dl>")
}

/// The quantiles of numbers, folded away.
fn quantiles(numbers: &Numbers) -> String {
    if numbers.quantiles.is_empty() {
        return String::new();
    }
    let mut cells = String::new();
    for (q, number) in &numbers.quantiles {
        let _ = write!(
            cells,
            "<tr><th scope=\"row\">{} %</th><td>{}</td></tr>",
            decimal(q * 100.0),
            decimal(*number)
        );
    }
    let of = if numbers.sampled == numbers.count {
        many(numbers.count, "number", "numbers")
    } else {
        format!("{} by chance of {}", count(numbers.sampled), many(numbers.count, "number", "numbers"))
    };
    format!(
        "<details class=\"data\"><summary>quantiles</summary><table><caption>Of {of}, so many are below</caption>\
         <thead class=\"vh\"><tr><th scope=\"col\">share</th><th scope=\"col\">number</th></tr></thead><tbody>{cells}</tbody></table></details>"
    )
}
