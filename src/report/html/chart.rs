//! Charts, drawn as SVG, each with a table that says the same.

use std::fmt::Write;

use super::text::{count, decimal, escape, value};
use crate::report::profile::{Histogram, Numbers, Scale, TopValue};
use crate::text::fit;

/// The size of a histogram's own coordinates; the page stretches it.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 120.0;
/// Bars of a list of values before the others are folded away.
const BARS: usize = 10;

/// Shares of the numbers of another dataset in the bars of `histogram`.
pub(super) fn shares(histogram: &Histogram, sorted: &[(f64, u64)]) -> Option<Vec<f64>> {
    let total: u64 = sorted.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return None;
    }
    let bars = histogram.counts.len();
    let mut shares = vec![0.0; bars];
    for (number, count) in sorted {
        // Numbers beyond the range of the one are in its outermost bars.
        let bar = histogram
            .edges
            .iter()
            .skip(1)
            .take(bars.saturating_sub(1))
            .filter(|edge| *number >= **edge)
            .count();
        if let Some(share) = shares.get_mut(bar) {
            *share += *count as f64 / total as f64;
        }
    }
    Some(shares)
}

/// A histogram of `what`, beside that of another dataset if there is one, with its table.
pub(super) fn histogram(what: &str, unit: &str, numbers: &Numbers, other: Option<&[f64]>) -> String {
    let Some(histogram) = &numbers.histogram else { return String::new() };
    let total: u64 = histogram.counts.iter().sum();
    let share = |count: u64| count as f64 / total.max(1) as f64;
    let own = histogram.counts.iter().map(|count| share(*count));
    let most = own.chain(other.into_iter().flatten().copied()).fold(f64::MIN_POSITIVE, f64::max);
    let step = WIDTH / histogram.counts.len().max(1) as f64;
    let gap = (step * 0.12).min(3.0);
    let mut bars = String::new();
    let mut rows = String::new();
    for (at, (found, ends)) in histogram.counts.iter().zip(histogram.edges.windows(2)).enumerate() {
        let [from, to] = ends else { continue };
        let range = range_text(histogram, *from, *to);
        let theirs = other.and_then(|other| other.get(at)).copied();
        let left = step * at as f64 + gap / 2.0;
        let width = if theirs.is_some() { (step - gap) / 2.0 } else { step - gap };
        let mut bar = |class: &str, left: f64, share: f64| {
            // What is there is seen, however little it is.
            let height = if share > 0.0 { (share / most * HEIGHT).max(1.5) } else { 0.0 };
            let _ = write!(
                bars,
                "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{range}: {} ({:.1} %)</title></rect>",
                HEIGHT - height,
                if class == "a" { count(*found) } else { "the other".to_owned() },
                share * 100.0,
            );
        };
        bar("a", left, share(*found));
        if let Some(theirs) = theirs {
            bar("b", left + width, theirs);
        }
        let theirs = theirs.map(|share| format!("<td>{:.1} %</td>", share * 100.0)).unwrap_or_default();
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{range}</th><td>{}</td><td>{:.1} %</td>{theirs}</tr>",
            count(*found),
            share(*found) * 100.0
        );
    }
    let (first, last) = (histogram.edges.first().copied(), histogram.edges.last().copied());
    let label = format!(
        "Histogram of {what}: {} {unit} from {} to {}",
        count(total),
        first.map(decimal).unwrap_or_default(),
        last.map(decimal).unwrap_or_default()
    );
    let scale = match histogram.scale {
        Scale::Linear => "",
        Scale::Logarithmic => "logarithmic scale",
        Scale::Clipped => "outermost bars: the rest",
    };
    let about =
        if histogram.exact { String::new() } else { format!("from {} by chance", count(numbers.sampled)) };
    let notes: Vec<&str> = [scale, &about].into_iter().filter(|note| !note.is_empty()).collect();
    let is_whole = is_whole(histogram);
    let shift = if is_whole { 0.5 } else { 0.0 };
    let left = first.map(|edge| decimal(edge + shift)).unwrap_or_default();
    let right = last.map(|edge| decimal(edge - shift)).unwrap_or_default();
    let head = if other.is_some() { "<th scope=\"col\">the other</th>" } else { "" };
    format!(
        "<figure class=\"chart\"><svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         preserveAspectRatio=\"none\">{bars}</svg><div class=\"axis\"><span>{left}</span><span>{}</span>\
         <span>{right}</span></div>{}</figure>",
        escape(&label),
        notes.join(", "),
        table(
            &format!(
                "<tr><th scope=\"col\">{}</th><th scope=\"col\">number</th><th scope=\"col\">share</th>{head}</tr>",
                escape(unit)
            ),
            &rows
        )
    )
}

/// Whether bars stand for one whole number each.
fn is_whole(histogram: &Histogram) -> bool {
    histogram.scale == Scale::Linear
        && histogram
            .edges
            .windows(2)
            .all(|ends| matches!(ends, [from, to] if to - from == 1.0 && from.fract().abs() == 0.5))
}

fn range_text(histogram: &Histogram, from: f64, to: f64) -> String {
    if is_whole(histogram) { decimal(from + 0.5) } else { format!("{} to {}", decimal(from), decimal(to)) }
}

/// A table that is folded away below a chart.
fn table(head: &str, rows: &str) -> String {
    format!(
        "<details class=\"data\"><summary>as a table</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Numbers of the chart\"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div></details>"
    )
}

/// A histogram as small as a word.
pub(super) fn spark(histogram: &Histogram) -> String {
    if histogram.counts.len() < 2 {
        // One bar says nothing.
        return String::new();
    }
    let most = histogram.counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let step = 96.0 / histogram.counts.len().max(1) as f64;
    let mut path = String::new();
    for (at, count) in histogram.counts.iter().enumerate() {
        let height = if *count > 0 { (*count as f64 / most * 24.0).max(1.0) } else { 0.0 };
        let _ = write!(
            path,
            "M{:.1} 24v{:.1}h{:.1}v{:.1}z",
            step * at as f64,
            -height,
            (step * 0.85).max(0.5),
            height
        );
    }
    svg_spark(&path)
}

/// The shares of the first values as small as a word.
pub(super) fn spark_of(top: &[TopValue]) -> String {
    if top.len() < 2 {
        return String::new();
    }
    let most = top.first().map_or(1, |top| top.count).max(1) as f64;
    let shown = top.len().min(24);
    let step = 96.0 / shown.max(4) as f64;
    let mut path = String::new();
    for (at, top) in top.iter().take(shown).enumerate() {
        let height = (top.count as f64 / most * 24.0).max(1.0);
        let _ = write!(
            path,
            "M{:.1} 24v{:.1}h{:.1}v{height:.1}z",
            step * at as f64,
            -height,
            (step * 0.85).max(0.5)
        );
    }
    svg_spark(&path)
}

fn svg_spark(path: &str) -> String {
    format!(
        "<svg class=\"spark\" aria-hidden=\"true\" viewBox=\"0 0 96 24\" preserveAspectRatio=\"none\"><path d=\"{path}\"/></svg>"
    )
}

/// A share as a bar.
pub(super) fn meter(class: &str, share: f64) -> String {
    let width = (share * 100.0).clamp(0.0, 100.0);
    let width = if share > 0.0 { width.max(0.8) } else { 0.0 };
    format!(
        "<svg class=\"meter\" aria-hidden=\"true\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\">\
         <rect class=\"{class}\" width=\"{width:.2}\" height=\"1\"/></svg>"
    )
}

/// The attribute that says all of a value which is cut where there is little room.
fn whole(value: &serde_json::Value) -> String {
    const FITS: usize = 14;
    let long = value.as_str().filter(|text| text.chars().count() > FITS);
    long.map(|text| format!(" title=\"{}\"", escape(&fit(text, 200)))).unwrap_or_default()
}

/// Values and how often they occur, as bars that are a table at once; `total` is what shares are of.
pub(super) fn values(
    caption: &str,
    top: &[TopValue],
    total: u64,
    other: Option<(&[TopValue], u64)>,
) -> String {
    let share = |count: u64, total: u64| count as f64 / total.max(1) as f64;
    let theirs = |of: &TopValue| {
        other.map(|(values, total)| {
            share(values.iter().find(|value| value.is(of)).map_or(0, |value| value.count), total)
        })
    };
    let most =
        top.iter().map(|top| share(top.count, total).max(theirs(top).unwrap_or(0.0))).fold(0.0, f64::max);
    let row = |top: &TopValue| {
        let own = share(top.count, total);
        let other = theirs(top);
        let bars = meter("a", own / most.max(f64::MIN_POSITIVE));
        let bars =
            bars + &other.map(|share| meter("b", share / most.max(f64::MIN_POSITIVE))).unwrap_or_default();
        let other = other.map(|share| format!("<td>{:.1} %</td>", share * 100.0)).unwrap_or_default();
        format!(
            "<tr><th scope=\"row\"{}>{}</th><td class=\"bars\">{bars}</td><td>{}</td><td>{:.1} %</td>{other}</tr>",
            whole(&top.value),
            value(&top.value, 60),
            count(top.count),
            own * 100.0
        )
    };
    let (head, column) =
        if other.is_some() { ("<th scope=\"col\">the other</th>", "<col class=\"n\">") } else { ("", "") };
    let body = |rows: String| {
        format!(
            "<table class=\"values\"><caption>{}</caption><colgroup><col class=\"v\"><col><col class=\"n\"><col class=\"n\">{column}\
             </colgroup><thead class=\"vh\"><tr><th scope=\"col\">value</th><th scope=\"col\">bar</th>\
             <th scope=\"col\">number</th><th scope=\"col\">share</th>{head}</tr></thead><tbody>{rows}</tbody></table>",
            escape(caption)
        )
    };
    let mut ordered: Vec<&TopValue> = top.iter().collect();
    if top.len() <= BARS + 2 && top.iter().all(|top| top.value.is_number()) {
        // Classes that are numbers, all of them, stand in their order.
        ordered.sort_by(|a, b| a.value.as_f64().unwrap_or(0.0).total_cmp(&b.value.as_f64().unwrap_or(0.0)));
    }
    let shown = if top.len() > BARS + 2 { BARS } else { top.len() };
    let mut out = body(ordered.iter().copied().take(shown).map(row).collect());
    if top.len() > shown {
        let rest: String = ordered.iter().copied().skip(shown).map(row).collect();
        let _ = write!(
            out,
            "<details class=\"data\"><summary>{} more</summary>{}</details>",
            top.len() - shown,
            body(rest)
        );
    }
    out
}
