//! Which columns the features of records become: what was inferred, with the given specs in place,
//! and only what was asked for.

use std::collections::HashSet;

use super::options::OpenOptions;
use super::planned::Features;
use super::records::{RecordFiles, sample};
use crate::error::{Error, Result};
use crate::options::{InferRecords, OnError, Phrase, RecordKind};
use crate::schema::feature::{FeatureSpec, Missing, nearest};
use crate::schema::infer::{Inference, Lists, Settled};
use crate::schema::{FeaturePlan, RAW_PATHS, unknown_column};
use crate::tf::dtype::DType;

/// How many records are looked at where nothing is inferred, to tell features from feature lists.
pub(super) const PROBE_RECORDS: u64 = 100;

/// What learns the columns.
pub(super) fn inference<'a>(options: &OpenOptions, settled: &'a Settled<'a>) -> Inference<'a> {
    Inference::new(lists(options), settled).with_kinds_that_differ(options.on_error == OnError::NullValue)
}

/// What is known beforehand of feature lists.
fn lists(options: &OpenOptions) -> Lists {
    match options.record {
        RecordKind::Sequence => Lists::Read,
        RecordKind::Auto if options.features.iter().any(|feature| feature.feature_list) => Lists::Read,
        RecordKind::Auto => Lists::Find,
        _ => Lists::Refuse,
    }
}

/// Whether nobody asks what the feature `name` holds.
pub(super) fn is_settled(options: &OpenOptions, name: &str) -> bool {
    let by_name = options.features.iter().any(|feature| feature.name == name);
    // A feature and a feature list that share a name have other paths.
    let is_wanted_by = |path: String| !options.projection.leaves_out(&path);
    let is_wanted = || {
        let prefixes = [CONTEXT, FEATURE_LISTS].map(|prefix| format!("{prefix}/{name}"));
        options.projection.columns.is_some() && prefixes.into_iter().any(is_wanted_by)
    };
    options.features_complete || by_name || options.projection.leaves_out(name) && !is_wanted()
}

const CONTEXT: &str = "context";
const FEATURE_LISTS: &str = "feature_lists";

/// What the features hold: what was inferred, with the given specs in place.
///
/// # Errors
/// An option names a feature that does not exist, or there are no columns.
pub(super) fn settle(options: &OpenOptions, inference: &Inference<'_>) -> Result<Features> {
    let mut features = if options.features_complete { Vec::new() } else { inference.finish() };
    for spec in &options.features {
        let spec = place(spec, options, inference)?;
        match features.iter_mut().find(|f| f.name == spec.name && f.feature_list == spec.feature_list) {
            Some(inferred) => *inferred = spec,
            None => features.push(spec),
        }
    }
    if features.is_empty() && !options.features_complete {
        inference.check_columns(has_read_all(options, inference))?;
    }
    features.iter_mut().for_each(|feature| feature.seen = inference.has_seen(feature));
    Ok(Features { specs: features, sequence: inference.is_sequence() })
}

/// The plan of the columns of features that hold what is known of them.
///
/// # Errors
/// An option names a feature that does not exist, a column cannot be stored, or two columns would
/// have the same name.
pub(super) fn plan_of(features: &Features, options: &OpenOptions, source: &str) -> Result<FeaturePlan> {
    let sequence = features.sequence;
    let mut features = with_paths(features.specs.clone());
    features.sort_by(|a, b| a.0.cmp(&b.0));
    let paths: Vec<&str> = features.iter().map(|(path, _)| path.as_str()).collect();
    for name in options.mapping.text_columns().chain(options.mapping.rename.iter().map(|(old, _)| old)) {
        if !paths.contains(&name.as_str()) {
            return Err(unknown_column(name, &paths));
        }
    }
    let wanted = options.projection.apply(&paths)?;
    let mut features: Vec<(String, FeatureSpec)> =
        wanted.into_iter().filter_map(|i| features.get(i).cloned()).collect();
    for (path, feature) in &mut features {
        if options.mapping.all_text() {
            feature.text |= feature.dtype == DType::String;
        } else if options.mapping.is_text(path) {
            if feature.dtype != DType::String {
                return Err(Error::config("only bytes can be read as text")
                    .expected("a bytes feature", feature.to_string())
                    .in_column(path.as_str())
                    .with_hint(Phrase::new("name only columns of text in {utf8}")));
            }
            feature.text = true;
        }
    }
    let ignore_others = options.features_complete || !options.projection.is_all();
    let mut plan = FeaturePlan::new(features, &options.mapping, ignore_others, source)?;
    plan.sequence = sequence;
    plan.null_values = options.on_error == OnError::NullValue;
    Ok(plan)
}

/// What the features of the records in `files` hold, of which some are read if that is not given.
///
/// # Errors
/// A record that is read is damaged, or as [`settle`].
pub(super) fn learn(files: &RecordFiles, options: &OpenOptions) -> Result<Features> {
    let settled = |name: &str| is_settled(options, name);
    let mut inference = inference(options, &settled);
    let limit = match options.infer {
        _ if options.features_complete => PROBE_RECORDS,
        InferRecords::First(limit) => limit,
        InferRecords::All => u64::MAX,
    };
    let known = options.features_complete && options.record == RecordKind::Example;
    if limit > 0 && !known {
        let fault = sample(&files.pieces, &files.pool, options, limit, |record| {
            inference.observe(record)?;
            Ok(inference.records() < limit)
        })?;
        // Nothing is known of what the columns should be: the first fault says why.
        match fault {
            Some(fault) if !inference.has_names() && options.features.is_empty() => return Err(fault),
            _ => {}
        }
    }
    settle(options, &inference)
}

/// The plan of records kept as they are: one column, `record`, of bytes.
///
/// # Errors
/// An option names another column.
pub(super) fn raw_plan(options: &OpenOptions, source: &str) -> Result<FeaturePlan> {
    if let Some((old, _)) = options.mapping.rename.iter().find(|(old, _)| !RAW_PATHS.contains(&old.as_str()))
    {
        return Err(unknown_column(old, RAW_PATHS));
    }
    options.projection.apply(RAW_PATHS)?;
    FeaturePlan::raw(&options.mapping, source)
}

/// The spec with its place, among the features or the feature lists, where records were read that
/// tell; an error where they tell that its name is a mistake.
fn place(spec: &FeatureSpec, options: &OpenOptions, inference: &Inference<'_>) -> Result<FeatureSpec> {
    let is_among = |feature_lists: bool| inference.names(feature_lists).any(|name| name == spec.name);
    if spec.feature_list || is_among(false) {
        return Ok(spec.clone());
    }
    if is_among(true) {
        return Ok(spec.clone().in_feature_lists());
    }
    if options.features_complete || inference.records() == 0 {
        return Ok(spec.clone());
    }
    let given = |name: &str| options.features.iter().any(|f| f.name == name);
    let others = || inference.names(false).chain(inference.names(true)).filter(|name| !given(name));
    // Features that are numbered are no typos of each other.
    let meant = nearest(&spec.name, others().filter(|name| !differ_by_number(name, &spec.name)));
    // What was said to be optional may be missing from every record that was read. A list, which is
    // null where it is missing, was not: its name may be a mistake.
    if spec.is_optional() && meant.is_none() {
        return Ok(spec.clone());
    }
    let optional = FeatureSpec { missing: Missing::Null, optional: spec.is_list(), ..spec.clone() };
    let error = Error::config(format!("no feature `{}` in {} records", spec.name, inference.records()));
    let whole = has_read_all(options, inference);
    const AT_ITS_WORD: &str = "name all features in a {features} file, which is taken at its word";
    Err(match meant {
        Some(meant) => {
            let hint = Phrase::from(format!("did you mean `{meant}`?")).then(" If not, ");
            let hint =
                if whole { hint } else { hint.then("pass {infer_records=all} to look at every record, or ") };
            error.with_hint(hint.then(AT_ITS_WORD))
        }
        None => {
            let hint = Phrase::new("pass {feature=_} if it may be missing");
            let hint =
                if whole { hint } else { hint.then(", or {infer_records=all} to look at every record") };
            error.with_hint(hint.pair(spec.name.as_str(), optional.to_string()))
        }
    })
}

/// Whether there are no more records to look at: they were not as many as were asked for.
fn has_read_all(options: &OpenOptions, inference: &Inference<'_>) -> bool {
    match options.infer {
        InferRecords::First(limit) => inference.records() < limit,
        InferRecords::All => true,
    }
}

/// Whether two names are the same but for the digits in them.
fn differ_by_number(a: &str, b: &str) -> bool {
    let letters = |name: &str| name.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    a != b && letters(a) == letters(b)
}

/// Each spec with the path of its column: its name, unless a feature and a feature list share it.
fn with_paths(features: Vec<FeatureSpec>) -> Vec<(String, FeatureSpec)> {
    let of = |feature_list: bool| {
        let features = features.iter().filter(move |f| f.feature_list == feature_list);
        features.map(|f| f.name.clone()).collect::<HashSet<_>>()
    };
    let shared: HashSet<String> = of(true).intersection(&of(false)).cloned().collect();
    let path = |feature: &FeatureSpec| match (shared.contains(&feature.name), feature.feature_list) {
        (false, _) => feature.name.clone(),
        (true, false) => format!("{CONTEXT}/{}", feature.name),
        (true, true) => format!("{FEATURE_LISTS}/{}", feature.name),
    };
    features.iter().map(|feature| (path(feature), feature.clone())).collect()
}
