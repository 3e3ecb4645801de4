//! The sections of a page, in the order in which they are read.

use std::fmt::Write;

use super::Subject;
use super::cards::{anchor, card, kind};
use super::chart::{meter, spark, spark_of};
use super::text::{bytes, count, data, decimal, escape, many, name, one, value};
use super::thumb::{Thumb, thumb};
use crate::report::profile::samples::ImageGrid;
use crate::report::profile::{Alert, ColumnProfile, share};
use crate::source::Cardinality;

/// Alerts, failures and rows of tables that are shown.
const ALERTS: usize = 100;
const FIRST_ALERTS: usize = 10;
const FAILURES: usize = 50;
const OVERVIEW: usize = 400;
const DIFFERENCES: usize = 60;
const MANY_CARDS: usize = 24;
/// The shares of a page's room, in per cent.
const FOR_IMAGES: usize = 45;
const FOR_ROWS: usize = 15;
const FOR_OVERVIEW: usize = 12;

/// Makes sections that fit into so many bytes.
pub(super) struct Sections<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) room: usize,
    /// The images of each grid, made once.
    pub(super) thumbs: Vec<Vec<Thumb>>,
    /// Of so many columns, the first ones, there are cards.
    cards: usize,
}

impl<'a> Sections<'a> {
    pub(super) fn new(subject: Subject<'a>, room: usize) -> Self {
        let mut left = part(room, FOR_IMAGES);
        let grids = &subject.profile.images;
        let grid = |(at, grid): (usize, &ImageGrid)| -> Vec<Thumb> {
            // What one does not need is there for those after it.
            let mut share = left / (grids.len() - at).max(1);
            left -= share;
            let mut thumbs = Vec::new();
            for image in &grid.images {
                let made = if share == 0 { Thumb::NoRoom } else { thumb(&image.data) };
                let size = 200 + if let Thumb::Shown { uri, .. } = &made { uri.len() } else { 0 };
                if size > share {
                    share = 0;
                    thumbs.push(Thumb::NoRoom);
                    continue;
                }
                share -= size;
                thumbs.push(made);
            }
            left += share;
            thumbs
        };
        let thumbs = grids.iter().enumerate().map(grid).collect();
        Self { subject, room, thumbs, cards: subject.profile.columns.len() }
    }

    /// What stands before the images: where it names columns that have cards, it leads to these.
    fn before(&self) -> [String; 4] {
        [self.head(), self.alerts(), self.differences(), self.overview(part(self.room, FOR_OVERVIEW))]
    }

    pub(super) fn into_html(mut self) -> String {
        let mut before = self.before();
        let after = [self.images(), self.rows(part(self.room, FOR_ROWS)), self.damage(), self.about()];
        let used: usize = before.iter().chain(&after).map(String::len).sum();
        let (columns, cards) = self.columns(self.room.saturating_sub(used));
        if cards < self.cards {
            self.cards = cards;
            before = self.before();
        }
        let [head, alerts, differences, overview] = before;
        let [images, rows, damage, about] = after;
        // Links lead to what is there.
        let sections = [
            ("alerts", "Alerts", &alerts),
            ("differences", "Differences", &differences),
            ("overview", "Overview", &overview),
            ("images", "Images", &images),
            ("columns", "Columns", &columns),
            ("rows", "Rows", &rows),
            ("damage", "Damage", &damage),
            ("about", "About", &about),
        ];
        let there = sections.iter().filter(|(_, _, html)| !html.is_empty());
        let links: String =
            there.map(|(id, title, _)| format!("<li><a href=\"#{id}\">{title}</a></li>")).collect();
        format!(
            "<a class=\"skip\" href=\"#main\">To the content</a>\n<nav aria-label=\"Sections\"><ul>{links}</ul></nav>\n\
             <main id=\"main\">\n{head}{alerts}{differences}{overview}{images}{columns}{rows}{damage}{about}</main>"
        )
    }

    fn head(&self) -> String {
        let profile = self.subject.profile;
        let columns = &profile.columns;
        let mut kinds: Vec<(&str, u64)> = Vec::new();
        for column in columns {
            let kind = kind(column);
            match kinds.iter_mut().find(|(k, _)| *k == kind) {
                Some((_, count)) => *count += 1,
                None => kinds.push((kind, 1)),
            }
        }
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let kinds: Vec<String> =
            kinds.iter().map(|(kind, number)| format!("{} of {kind}", count(*number))).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
        let description = profile.description.as_ref();
        let size: Option<u64> = description.and_then(|d| d.partitions.iter().map(|p| p.bytes).sum());
        let of = match description.map(|d| d.cardinality) {
            Some(Cardinality::Known(all)) if all > profile.rows + profile.damaged => {
                format!(" of {}", count(all))
            }
            _ => String::new(),
        };
        let source = description.map(|d| {
            let parts = many(d.partitions.len() as u64, "part", "parts");
            let size =
                size.filter(|size| *size > 0).map(|size| format!(", {}", bytes(size))).unwrap_or_default();
            format!(" {}, {parts}{size}.", data(&d.kind, 200))
        });
        let episodes = columns.iter().filter_map(|c| c.lengths.as_ref()).find(|l| l.unit == "steps");
        let episodes = episodes.and_then(|lengths| {
            let (least, greatest) = lengths.numbers.range.as_ref()?;
            Some(if least == greatest {
                format!(" Each row is an episode of {} steps.", value(least, 24))
            } else {
                format!(
                    " Each row is an episode of {} to {} steps, {} on average.",
                    value(least, 24),
                    value(greatest, 24),
                    decimal(lengths.numbers.mean?)
                )
            })
        });
        let missing: u64 = columns.iter().map(|column| column.missing).sum();
        let cells: u64 = columns.iter().map(|column| column.rows).sum();
        let mut tiles = vec![
            (count(profile.rows), if profile.rows == 1 { "row" } else { "rows" }, "", "#rows"),
            (
                count(columns.len() as u64),
                if columns.len() == 1 { "column" } else { "columns" },
                "",
                "#columns",
            ),
            (escape(&share(missing, cells)), "missing", "", "#overview"),
        ];
        if let Some(size) = size.filter(|size| *size > 0) {
            tiles.insert(2, (bytes(size), "read", "", "#about"));
        }
        let alerts = profile.alerts.len() as u64;
        let class = if alerts > 0 { "warn" } else { "" };
        tiles.push((count(alerts), if alerts == 1 { "alert" } else { "alerts" }, class, "#alerts"));
        if profile.damaged > 0 {
            tiles.push((count(profile.damaged), "not readable", "bad", "#damage"));
        }
        let tiles: String = tiles
            .iter()
            .map(|(number, what, class, link)| {
                format!("<li><a class=\"tile {class}\" href=\"{link}\"><b>{number}</b> <span>{what}</span></a></li>")
            })
            .collect();
        let versus = self.subject.other.map(|other| {
            format!(
                "<p class=\"versus\"><span class=\"key a\"></span>{} <span class=\"key b\"></span>{} ({})</p>",
                data(self.subject.title, 120),
                data(other.title, 120),
                many(other.profile.rows, "row", "rows")
            )
        });
        format!(
            "<header class=\"top\"><p class=\"over\">Dataset report</p><h1>{}</h1><p class=\"lead\">{}{of} in {}{}.{}{}</p>{}\
             <ul class=\"tiles\">{tiles}</ul>{}</header>\n",
            data(self.subject.title, 160),
            many(profile.rows, "row", "rows"),
            many(columns.len() as u64, "column", "columns"),
            kinds,
            episodes.unwrap_or_default(),
            source.unwrap_or_default(),
            versus.unwrap_or_default(),
            self.strip()
        )
    }

    fn link(&self, path: &str) -> String {
        self.link_to(find_path(&self.subject.profile.columns, path, &[]).as_deref(), path)
    }

    /// A column's name, which leads to its card, if there is one.
    fn link_to(&self, at: Option<&[usize]>, text: &str) -> String {
        match at.filter(|at| at.first().is_some_and(|column| *column < self.cards)) {
            Some(at) => format!("<a class=\"col\" href=\"#{}\">{}</a>", anchor(at), name(text)),
            None => format!("<span class=\"col\">{}</span>", name(text)),
        }
    }

    fn differences(&self) -> String {
        let Some(other) = self.subject.other else { return String::new() };
        let mut rows = String::new();
        let different = || other.comparison.columns.iter().filter(|column| column.distance > 0.0);
        for column in different().take(DIFFERENCES) {
            let per_cent =
                |share: f64| if share > 0.0 { format!("{:.1} %", share * 100.0) } else { "none".to_owned() };
            let mut notes = Vec::new();
            if let (Some(one), Some(two)) = column.means {
                notes.push(format!("mean {} and {}", decimal(one), decimal(two)));
            }
            if column.missing != (0.0, 0.0) {
                notes.push(format!(
                    "missing {} and {}",
                    per_cent(column.missing.0),
                    per_cent(column.missing.1)
                ));
            }
            for (what, values) in [("new", &column.new), ("gone", &column.gone)] {
                let shown: Vec<String> = values.iter().take(5).map(|v| value(&v.value, 30)).collect();
                let more =
                    if values.len() > 5 { format!(" and {} more", values.len() - 5) } else { String::new() };
                if !shown.is_empty() {
                    notes.push(format!("{what}: {}{more}", shown.join(", ")));
                }
            }
            if column.because == "type" {
                let text = |t: &Option<String>| t.as_deref().map(|t| data(t, 60)).unwrap_or_default();
                notes.push(format!("{} and {}", text(&column.types.0), text(&column.types.1)));
            }
            let _ = write!(
                rows,
                "<tr><th scope=\"row\">{}</th><td class=\"num\">{:.3}</td><td class=\"bars\">{}</td><td>{}</td><td>{}</td></tr>",
                self.link(&column.name),
                column.distance,
                meter("b", column.distance),
                column.because,
                notes.join("; ")
            );
        }
        let more = more_than(different().count(), DIFFERENCES, "columns differ less");
        let same = other.comparison.columns.len() - different().count();
        let same = if same > 0 {
            format!(
                "<p class=\"note\">{} the same in both.</p>",
                many(same as u64, "column is", "columns are")
            )
        } else {
            String::new()
        };
        if rows.is_empty() {
            return section("differences", "Differences", &same);
        }
        section(
            "differences",
            "Differences",
            &format!(
                "<p class=\"note\">The columns that differ most come first: 0 is the same, 1 is nothing in common.</p>\
                 <div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-label=\"Differences\"><table class=\"grid\"><thead><tr><th scope=\"col\">column</th>\
                 <th scope=\"col\" class=\"num\">distance</th><th scope=\"col\"><span class=\"vh\">bar</span></th><th scope=\"col\">of</th><th scope=\"col\">both</th></tr></thead>\
                 <tbody>{rows}</tbody></table></div>{more}{same}"
            ),
        )
    }

    fn alerts(&self) -> String {
        let alerts = &self.subject.profile.alerts;
        if alerts.is_empty() {
            return section("alerts", "Alerts", "<p class=\"fine\">Nothing stands out.</p>");
        }
        let item = |alert: &Alert| {
            let grave = matches!(
                alert.kind,
                "damage" | "no_rows" | "nan" | "infinite" | "out_of_range" | "not_media"
            );
            let class = if grave { "bad" } else { "warn" };
            let place = match (&alert.column, alert.kind) {
                (Some(column), _) => self.link(column),
                (None, "damage") => "<a class=\"col\" href=\"#damage\">records</a>".to_owned(),
                (None, _) => "<a class=\"col\" href=\"#rows\">rows</a>".to_owned(),
            };
            let kind = alert.kind.replace('_', " ");
            format!(
                "<li><span class=\"pill {class}\">{kind}</span> {place} <span>{}</span></li>",
                data(&alert.text, 240)
            )
        };
        let list = |alerts: &[Alert]| {
            format!("<ul class=\"alerts\">{}</ul>", alerts.iter().map(item).collect::<String>())
        };
        let shown = alerts.get(..ALERTS).unwrap_or(alerts);
        let (first, rest) = shown.split_at_checked(FIRST_ALERTS).unwrap_or((shown, &[]));
        let more = more_than(alerts.len(), ALERTS, "alerts");
        let rest = if rest.is_empty() {
            String::new()
        } else {
            format!(
                "<details class=\"more\"><summary>{} more</summary>{}{more}</details>",
                rest.len(),
                list(rest)
            )
        };
        section("alerts", "Alerts", &format!("{}{rest}", list(first)))
    }

    fn overview(&self, room: usize) -> String {
        let mut rows = String::new();
        let mut shown = 0;
        let mut walk: Vec<(Vec<usize>, String, &ColumnProfile)> = self
            .subject
            .profile
            .columns
            .iter()
            .enumerate()
            .map(|(at, c)| (vec![at], c.name.clone(), c))
            .rev()
            .collect();
        let mut left = 0;
        while let Some((path, full, column)) = walk.pop() {
            let fields = column.fields.iter().enumerate().rev();
            walk.extend(fields.map(|(at, f)| ([&path[..], &[at]].concat(), format!("{full}/{}", f.name), f)));
            if shown >= OVERVIEW || rows.len() > room {
                left += 1;
                continue;
            }
            shown += 1;
            rows.push_str(&overview_row(&self.link_to(Some(&path), &column.name), &path, column));
        }
        let more = if left > 0 {
            format!("<p class=\"note\">{} more columns: see the JSON.</p>", count(left))
        } else {
            String::new()
        };
        section(
            "overview",
            "Overview",
            &format!(
                "<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-label=\"Overview of the columns\"><table class=\"grid\"><thead><tr>\
                 <th scope=\"col\">column</th><th scope=\"col\" class=\"kind\">holds</th><th scope=\"col\">in short</th><th scope=\"col\">distribution</th>\
                 <th scope=\"col\" class=\"num\">distinct</th><th scope=\"col\" class=\"num\">missing</th></tr></thead><tbody>{rows}</tbody></table></div>{more}"
            ),
        )
    }

    /// The cards of columns, and of how many columns there are some: the first ones.
    fn columns(&self, room: usize) -> (String, usize) {
        let columns = &self.subject.profile.columns;
        let mut cards = String::new();
        let mut shown = 0;
        for (at, column) in columns.iter().enumerate() {
            let made = card(column, &[at], "", self.subject.other);
            if cards.len() + made.len() > room {
                break;
            }
            cards.push_str(&made);
            shown += 1;
        }
        let left = columns.len() - shown;
        let more = if left > 0 {
            format!(
                "<p class=\"note\">{} not shown here, for want of room: the JSON has all.</p>",
                many(left as u64, "column is", "columns are")
            )
        } else {
            String::new()
        };
        // Of many, those that follow each other stand side by side.
        let class = if shown > MANY_CARDS { "cards many" } else { "cards" };
        let html = section("columns", "Columns", &format!("<div class=\"{class}\">{cards}</div>{more}"));
        (html, shown)
    }

    fn damage(&self) -> String {
        let profile = self.subject.profile;
        if profile.damaged == 0 {
            return String::new();
        }
        let item = |failure: &crate::source::report::Failure| {
            format!("<li>{}</li>", data(&failure.to_string(), 400))
        };
        let items: String = profile.damage.iter().take(FAILURES).map(item).collect();
        let all = usize::try_from(profile.damaged).unwrap_or(usize::MAX);
        let more = more_than(all, profile.damage.len().min(FAILURES), "places");
        section("damage", "Damage", &format!("<ul class=\"damage\">{items}</ul>{more}"))
    }

    fn about(&self) -> String {
        let profile = self.subject.profile;
        let mut sampled: Vec<(String, u64, u64)> = Vec::new();
        collect_sampled(&profile.columns, "", &mut sampled);
        let of = match sampled.as_slice() {
            [] => "Quantiles and histograms are of all numbers.".to_owned(),
            some => {
                let few: Vec<String> = some
                    .iter()
                    .take(5)
                    .map(|(path, of, all)| format!("{} ({} of {})", name(path), count(*of), count(*all)))
                    .collect();
                let more = if some.len() > 5 {
                    format!(" and {} more columns", some.len() - 5)
                } else {
                    String::new()
                };
                format!(
                    "Quantiles and histograms of these are of numbers chosen by chance: {}{more}.",
                    few.join(", ")
                )
            }
        };
        let estimated = profile.columns.iter().filter(|c| c.distinct.is_some_and(|d| !d.exact)).count();
        let distinct = if estimated == 0 {
            "Numbers of distinct values are exact.".to_owned()
        } else {
            format!(
                "Numbers of distinct values that are said to be about so many are estimates ({}).",
                many(estimated as u64, "column", "columns")
            )
        };
        section(
            "about",
            "About these numbers",
            &format!(
                "<p>All {} were seen once. Counts, missing values, zeros, extremes, means and standard deviations are exact; \
                 the latter is that of a sample. {of} {distinct} Rows and images are chosen by chance, with the same chance for each, \
                 and the same every time.</p><p>Made by tfarrow {}. Nothing on this page is loaded from anywhere.</p>",
                many(profile.rows, "row", "rows"),
                env!("CARGO_PKG_VERSION")
            ),
        )
    }
}

fn collect_sampled(columns: &[ColumnProfile], prefix: &str, out: &mut Vec<(String, u64, u64)>) {
    for column in columns {
        let path = if prefix.is_empty() { column.name.clone() } else { format!("{prefix}/{}", column.name) };
        if let Some(numbers) = column.numbers.as_ref().filter(|numbers| numbers.sampled < numbers.count) {
            out.push((path.clone(), numbers.sampled, numbers.count));
        }
        collect_sampled(&column.fields, &path, out);
    }
}

/// A column in a line; `link` is its name.
fn overview_row(link: &str, path: &[usize], column: &ColumnProfile) -> String {
    let numbers = column.numbers.as_ref();
    let classes = column.is_class;
    let histogram = numbers.filter(|_| !classes).and_then(|n| n.histogram.as_ref());
    let lengths = column.lengths.as_ref();
    let shape = match (histogram, column.top.first()) {
        (Some(histogram), _) => spark(histogram),
        (None, Some(top)) if top.count > 1 => spark_of(&column.top),
        _ => lengths.and_then(|l| l.numbers.histogram.as_ref()).map(spark).unwrap_or_default(),
    };
    let ends = |numbers: &crate::report::profile::Numbers| {
        let (least, greatest) = numbers.range.as_ref()?;
        Some(if least == greatest {
            value(least, 24)
        } else {
            format!("{} to {}", value(least, 24), value(greatest, 24))
        })
    };
    let of_lengths = || {
        let lengths = lengths?;
        let ends = ends(&lengths.numbers)?;
        Some(format!("{ends} {}", if ends == "1" { one(lengths.unit) } else { lengths.unit }))
    };
    let short = match (classes, numbers, &column.media) {
        (true, _, _) => column.top.first().map(|top| {
            let classes = column.distinct.map_or(0, |distinct| distinct.count);
            if top.count * 2 > column.rows - column.missing {
                format!("mostly {}", value(&top.value, 30))
            } else {
                many(classes, "class", "classes")
            }
        }),
        (_, _, Some(media)) => {
            let format = media.formats.first().map(|f| value(&f.value, 10)).unwrap_or_default();
            let size =
                column.shapes.first().map(|s| format!(", {}", value(&s.value, 24))).unwrap_or_default();
            Some(format!("{format}{size}{}", if column.shapes.len() > 1 { " and others" } else { "" }))
        }
        (_, Some(numbers), _) => ends(numbers),
        _ => of_lengths(),
    };
    let distinct = column.distinct.map(|d| format!("{}{}", if d.exact { "" } else { "≈ " }, count(d.count)));
    let missing =
        if column.missing == 0 { "none".to_owned() } else { escape(&share(column.missing, column.rows)) };
    let class = if column.missing == 0 { "num quiet" } else { "num" };
    format!(
        "<tr><th scope=\"row\" class=\"d{}\">{link}</th><td class=\"kind\">{}</td><td>{}</td><td>{shape}</td><td class=\"num\">{}</td>\
         <td class=\"{class}\">{missing}</td></tr>",
        (path.len() - 1).min(3),
        kind(column),
        short.unwrap_or_default(),
        distinct.unwrap_or_default()
    )
}

/// Where the column with this path is.
fn find_path(columns: &[ColumnProfile], path: &str, at: &[usize]) -> Option<Vec<usize>> {
    columns.iter().enumerate().find_map(|(index, column)| {
        let here = [at, &[index]].concat();
        let rest = path.strip_prefix(column.name.as_str())?;
        if rest.is_empty() {
            return Some(here);
        }
        find_path(&column.fields, rest.strip_prefix('/')?, &here)
    })
}

pub(super) fn section(id: &str, title: &str, inner: &str) -> String {
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{title}</h2>{inner}</section>\n"
    )
}

/// A note of how many more there are than are shown.
fn more_than(all: usize, shown: usize, what: &str) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        more => format!("<p class=\"note\">{} more {what}.</p>", count(more as u64)),
    }
}

/// So many per cent of so many bytes.
fn part(bytes: usize, per_cent: usize) -> usize {
    bytes / 100 * per_cent
}
