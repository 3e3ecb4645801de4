//! The sections of what was chosen by chance: images and rows.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::sections::{Sections, section};
use super::text::{count, data, many, name, plain_name};
use super::thumb::{Thumb, thumb};

/// Images of a dataset that stand at its beginning.
const FIRST_IMAGES: usize = 18;

impl Sections<'_> {
    /// The first images, of every class one before a second of any.
    pub(super) fn strip(&self) -> String {
        let Some((grid, thumbs)) = self.subject.profile.images.first().zip(self.thumbs.first()) else {
            return String::new();
        };
        let mut seen: BTreeMap<&Option<String>, usize> = BTreeMap::new();
        let mut shown: Vec<(usize, usize, String)> = Vec::new();
        for (at, (image, thumb)) in grid.images.iter().zip(thumbs).enumerate() {
            let Thumb::Shown { uri, width, height } = thumb else { continue };
            let turn = seen.entry(&image.class).or_default();
            let class = image.class.as_deref().map(plain_name).unwrap_or_default();
            let tag = format!(
                "<img src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"{class}\" title=\"{class}\">"
            );
            shown.push((*turn, at, tag));
            *turn += 1;
        }
        shown.sort_by_key(|(turn, at, _)| (*turn, *at));
        if shown.is_empty() {
            return String::new();
        }
        // The same images stand in their section, with their names: twice would be twice the bytes.
        let few: Vec<String> = shown
            .into_iter()
            .take(FIRST_IMAGES)
            .map(|(_, _, tag)| tag)
            .scan(0, |bytes, tag| {
                *bytes += tag.len();
                (*bytes < self.room / 10).then_some(tag)
            })
            .collect();
        format!("<p class=\"strip\">{}</p>", few.concat())
    }

    pub(super) fn images(&self) -> String {
        let mut out = String::new();
        for (grid, thumbs) in self.subject.profile.images.iter().zip(&self.thumbs) {
            let title = if self.subject.profile.images.len() > 1 {
                format!("<h3>{}</h3>", name(&grid.column))
            } else {
                String::new()
            };
            let mut groups = String::new();
            let mut open: Option<&Option<String>> = None;
            let mut left_out = 0;
            for (image, thumb) in grid.images.iter().zip(thumbs) {
                if matches!(thumb, Thumb::NoRoom) {
                    left_out += 1;
                    continue;
                }
                if open != Some(&image.class) {
                    if open.is_some() {
                        groups.push_str("</div></figure>");
                    }
                    let class = match (&image.class, grid.by_class) {
                        (Some(class), _) => format!("<figcaption>{}</figcaption>", data(class, 60)),
                        (None, true) => "<figcaption>no class</figcaption>".to_owned(),
                        (None, false) => String::new(),
                    };
                    let _ = write!(groups, "<figure class=\"group\">{class}<div>");
                    open = Some(&image.class);
                }
                let row = count(image.row);
                match thumb {
                    Thumb::Shown { uri, width, height } => {
                        let class = image
                            .class
                            .as_deref()
                            .map(|c| format!(", {}", plain_name(c)))
                            .unwrap_or_default();
                        let _ = write!(
                            groups,
                            "<img src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"row {row}{class}\" title=\"row {row}{class}\">"
                        );
                    }
                    Thumb::Not(why) => {
                        let _ = write!(groups, "<span class=\"none\">row {row}: {why}</span>");
                    }
                    Thumb::NoRoom => {}
                }
            }
            if open.is_some() {
                groups.push_str("</div></figure>");
            }
            let more = match left_out {
                0 => String::new(),
                more => format!("<p class=\"note\">This page has no room for {} more.</p>", count(more)),
            };
            let _ = write!(out, "{title}<div class=\"groups\">{groups}</div>{more}");
        }
        if out.is_empty() { String::new() } else { section("images", "Images", &out) }
    }

    pub(super) fn rows(&self, room: usize) -> String {
        let profile = self.subject.profile;
        if profile.samples.is_empty() {
            return section("rows", "Rows", "<p class=\"note\">There are none.</p>");
        }
        let columns = profile.samples.first().map_or(0, |row| row.cells.len());
        let head: String = profile
            .columns
            .iter()
            .take(columns)
            .map(|c| format!("<th scope=\"col\">{}</th>", name(&c.name)))
            .collect();
        let mut rows = String::new();
        let mut shown = 0u64;
        for row in &profile.samples {
            let mut line = format!("<tr><th scope=\"row\">{}</th>", count(row.row));
            for (at, cell) in row.cells.iter().enumerate() {
                match row.images.get(&at).map(thumb) {
                    Some(Thumb::Shown { uri, width, height }) => {
                        let _ = write!(
                            line,
                            "<td><img src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"{}\"></td>",
                            plain_name(cell)
                        );
                    }
                    _ => {
                        let class = match cell.len() {
                            0..=24 => "",
                            25..=100 => " class=\"long\"",
                            _ => " class=\"longer\"",
                        };
                        let _ = write!(line, "<td{class}>{}</td>", data(cell, 400));
                    }
                }
            }
            line.push_str("</tr>");
            if rows.len() + line.len() > room && shown > 0 {
                break;
            }
            shown += 1;
            rows.push_str(&line);
        }
        let more = profile.columns.len().saturating_sub(columns);
        let more = if more > 0 { format!(" The first {columns} columns are shown.") } else { String::new() };
        let all = if shown == profile.rows {
            "All rows".to_owned()
        } else {
            format!("{} chosen by chance", many(shown, "row", "rows"))
        };
        section(
            "rows",
            "Rows",
            &format!(
                "<p class=\"note\">{all}.{more}</p><div class=\"tools\" hidden><label>Search <input type=\"search\" id=\"find\" \
                 autocomplete=\"off\"></label><span class=\"pager\"><button type=\"button\" id=\"back\">Back</button>\
                 <span id=\"at\" role=\"status\"></span><button type=\"button\" id=\"next\">Next</button></span></div>\
                 <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Rows\"><table class=\"grid sample\" id=\"sample\"><thead><tr>\
                 <th scope=\"col\">row</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
            ),
        )
    }
}
