//! Opening input: what is named, of what kind it is, and what is in it.

use std::sync::Arc;

use super::cast::CastSource;
use super::kinds::{self, Check, FileKind, Found};
use super::options::OpenOptions;
use super::{ReadOptions, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Names, Place, expand_folder};

/// How deep folders are looked into for files to give as an example.
const EXAMPLE_DEPTH: usize = 4;

/// Opens what `names` name: recognises its kind, and learns or infers its schema.
///
/// # Errors
/// The input does not exist, is of no known kind or is damaged, or an option does not fit it.
pub(crate) fn open(names: &Names, options: &OpenOptions) -> Result<Arc<dyn Source>> {
    with_casts(find(names, options)?.open(options)?, options)
}

/// `source` with the casts that `options` ask for.
///
/// # Errors
/// A cast does not fit the source.
pub(crate) fn with_casts(source: Arc<dyn Source>, options: &OpenOptions) -> Result<Arc<dyn Source>> {
    match options.casts.as_slice() {
        [] => Ok(source),
        _ if options.to_verify => Ok(source),
        casts => Ok(Arc::new(CastSource::new(source, casts, &options.mapping)?)),
    }
}

/// The number of elements of what `names` name: from an index or metadata where there is any, by
/// stepping over records otherwise.
///
/// # Errors
/// The input does not exist, or is damaged where records begin and end.
pub(crate) fn count(names: &Names, options: &OpenOptions, read: &ReadOptions) -> Result<u64> {
    find(names, options)?.count(options, read, Check::Claims)
}

/// As [`count`], but every record is read and checked, and there must be as many as an index or
/// metadata says.
///
/// # Errors
/// As [`count`], or a record is damaged, or there are more or fewer.
pub(crate) fn count_checked(names: &Names, options: &OpenOptions, read: &ReadOptions) -> Result<u64> {
    let input = find(names, options)?;
    // A stream claims nothing, and can be read once.
    let claimed = if input.is_once() { None } else { Some(input.count(options, read, Check::Claims)?) };
    let found = input.count(options, read, Check::Everything)?;
    match claimed.filter(|claimed| *claimed != found) {
        None => Ok(found),
        Some(claimed) => Err(Error::mismatch("input with another number of records than its metadata says")
            .expected(claimed.to_string(), found.to_string())),
    }
}

/// Finds out what `names` name.
fn find(names: &Names, options: &OpenOptions) -> Result<Found> {
    names.begin()?;
    if let Some(place) = names.only_place()?
        && let Some(found) = kinds::dataset(&place, place.stat()?.as_ref())?
    {
        return Ok(found);
    }
    let inputs = names.resolve(&shards_of)?;
    kinds::files(&inputs, options.to_verify).map_err(|error| match names.only_place() {
        // What is no shard lies in a folder of shards.
        Ok(Some(place))
            if matches!(error.kind(), ErrorKind::Config | ErrorKind::Unsupported) && place.is_folder() =>
        {
            match pattern_of(&place, &inputs) {
                Some(pattern) => error.with_hint(format!("name the files to read, as in `{pattern}`")),
                None => error,
            }
        }
        _ => error,
    })
}

/// The files of a folder of shards.
///
/// # Errors
/// It is a stored dataset, holds other folders, or no file.
fn shards_of(folder: &Place) -> Result<Vec<Input>> {
    let place = |e: Error| Err(e.in_source(folder.name()));
    if let Some(Found::Dataset(kind, ..)) = kinds::dataset(folder, Some(&crate::input::Stat::folder()))? {
        return place(
            Error::config(format!("a stored dataset ({}) beside other inputs", kind.name))
                .with_hint("read it alone"),
        );
    }
    let (files, folders) = expand_folder(folder)?;
    if !folders.is_empty() || files.is_empty() {
        let error = Error::unsupported("folder of no known kind");
        return place(match example(folder, EXAMPLE_DEPTH) {
            Some(pattern) => error.with_hint(format!("name the files in it, as in `{pattern}`")),
            None => error.with_hint("there is no file in it, but hidden ones"),
        });
    }
    Ok(files)
}

/// A pattern that matches the first files that are found in `folder` or below.
fn example(folder: &Place, depth: usize) -> Option<String> {
    let (files, folders) = expand_folder(folder).ok()?;
    if !files.is_empty() {
        return Some(format!("{}/{}", trimmed(folder), common(&names_of(&files))?));
    }
    let inner = folders.iter().take_while(|_| depth > 0).find_map(|inner| {
        let pattern = example(inner, depth - 1)?;
        pattern.strip_prefix(&*format!("{}/", trimmed(inner))).map(str::to_owned)
    })?;
    Some(format!("{}/*/{inner}", trimmed(folder)))
}

fn trimmed(folder: &Place) -> String {
    folder.name().trim_end_matches('/').to_owned()
}

fn names_of(files: &[Input]) -> Vec<String> {
    files.iter().filter_map(Input::place).map(Place::file_name).collect()
}

/// A pattern for the files of `inputs` in `folder` that are of the kind most of them are of, and that
/// matches no other.
fn pattern_of(folder: &Place, inputs: &[Input]) -> Option<String> {
    let kind_of = |input: &Input| match kinds::files(std::slice::from_ref(input), false) {
        Ok(Found::Files(kind, _)) => Some(kind),
        _ => None,
    };
    let found: Vec<(&Input, Option<&'static FileKind>)> =
        inputs.iter().map(|input| (input, kind_of(input))).collect();
    let same = |a: &FileKind, b: Option<&FileKind>| b.is_some_and(|b| std::ptr::eq(a, b));
    let count = |kind: &FileKind| found.iter().filter(|(_, other)| same(kind, *other)).count();
    let most = found.iter().filter_map(|(_, kind)| *kind).max_by_key(|kind| count(kind))?;
    let (own, others): (Vec<_>, Vec<_>) = found.iter().partition(|(_, kind)| same(most, *kind));
    let names = |files: &[&(&Input, Option<&'static FileKind>)]| {
        names_of(&files.iter().map(|(input, _)| (*input).clone()).collect::<Vec<_>>())
    };
    let pattern = common(&names(&own))?;
    let matcher = glob::Pattern::new(&pattern).ok()?;
    let unique = !names(&others).iter().any(|name| matcher.matches(name));
    unique.then(|| format!("{}/{pattern}", trimmed(folder)))
}

/// The pattern of what `names` have in common: how they begin and end.
fn common(names: &[String]) -> Option<String> {
    let first = names.first()?;
    if names.len() == 1 {
        return Some(glob::Pattern::escape(first));
    }
    let shared = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let begin = names.iter().map(|name| shared(first, name)).min().unwrap_or(0);
    let back = |text: &str| text.chars().rev().collect::<String>();
    let end = names.iter().map(|name| shared(&back(first), &back(name))).min().unwrap_or(0);
    let shortest = names.iter().map(|name| name.chars().count()).min().unwrap_or(0);
    let end = end.min(shortest - begin.min(shortest));
    let head: String = first.chars().take(begin).collect();
    let tail: String = first.chars().skip(first.chars().count() - end).collect();
    // A suffix says more than digits that happen to be the same.
    let head = if tail.starts_with('.') { String::new() } else { head };
    Some(format!("{}*{}", glob::Pattern::escape(&head), glob::Pattern::escape(&tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_say_what_names_have_in_common() {
        for (names, expected) in [
            (&["part-r-00000"][..], "part-r-00000"),
            (&["a.tfrecord", "b.tfrecord"], "*.tfrecord"),
            (&["x-0-of-2", "x-1-of-2"], "x-*-of-2"),
            (&["aa", "aaa"], "aa*"),
            (&["a", "b"], "*"),
            (&["[x]1", "[x]2"], "[[]x[]]*"),
        ] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let pattern = common(&names).unwrap();
            assert_eq!(pattern, expected);
            let pattern = glob::Pattern::new(&pattern).unwrap();
            assert!(names.iter().all(|name| pattern.matches(name)));
        }
    }
}
