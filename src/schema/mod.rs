//! The plan: which Arrow column each component of an element becomes; and what a caller may say of it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::options::{Phrase, TensorLayout, quote_name};
use crate::tensor::extension::item;
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
pub use cast::Cast;
use feature::nearest;
pub use feature::{DefaultValue, Encoding, FeatureSpec, Missing};
pub use features_file::parse_features;
use mapping::MappingOptions;

pub(crate) mod cast;
pub(crate) mod element;
pub(crate) mod elwc;
pub(crate) mod event;
pub(crate) mod feature;
pub(crate) mod features_file;
pub(crate) mod from_arrow;
#[cfg(feature = "parquet")]
pub(crate) mod half;
pub(crate) mod infer;
pub(crate) mod mapping;
pub(crate) mod message;
pub(crate) mod tfds;

/// Schema metadata key: the element spec as JSON.
pub(crate) const ELEMENT_SPEC: &str = "tfarrow.element_spec";
/// Schema metadata key: the version of this crate.
pub(crate) const VERSION: &str = "tfarrow.version";
/// Schema metadata key: the kind of source.
pub(crate) const SOURCE: &str = "tfarrow.source";

/// The paths of the columns of records that are kept as they are.
pub(crate) const RAW_PATHS: &[&str] = &["record"];

/// Which columns to read, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Projection {
    /// These only, in this order.
    pub(crate) columns: Option<Vec<String>>,
    /// All but these.
    pub(crate) exclude: Vec<String>,
}

impl Projection {
    /// The positions of the wanted ones among `paths`, in the order of the columns to be made. A
    /// name that is no path stands for all paths under it: `outer` for `outer/a` and `outer/b`.
    ///
    /// # Errors
    /// A name is none of `paths`, and none is under it.
    pub(crate) fn apply(&self, paths: &[&str]) -> Result<Vec<usize>> {
        let find = |name: &String| match paths.iter().position(|path| path == name) {
            Some(exact) => Ok(vec![exact]),
            None => {
                let under = (0..paths.len()).filter(|i| paths.get(*i).is_some_and(|p| is_under(p, name)));
                let under: Vec<usize> = under.collect();
                if under.is_empty() { Err(unknown_column(name, paths)) } else { Ok(under) }
            }
        };
        let find_all = |names: &[String]| -> Result<Vec<usize>> {
            Ok(names.iter().map(find).collect::<Result<Vec<_>>>()?.concat())
        };
        let mut excluded = find_all(&self.exclude)?;
        excluded.sort_unstable();
        let wanted = match &self.columns {
            Some(columns) => find_all(columns)?,
            None => (0..paths.len()).collect(),
        };
        let mut seen = vec![false; paths.len()];
        let mut out = Vec::with_capacity(wanted.len());
        for column in wanted {
            match seen.get_mut(column) {
                Some(seen) if !*seen && excluded.binary_search(&column).is_err() => {
                    *seen = true;
                    out.push(column);
                }
                _ => {}
            }
        }
        if out.is_empty() && !paths.is_empty() {
            return Err(Error::config("no column is left to read")
                .with_hint(Phrase::new("ask for fewer with {exclude} or for more with {columns}")));
        }
        Ok(out)
    }

    /// What is left where only `columns` of what this one leaves are read, in this order.
    ///
    /// # Errors
    /// A name is certainly none of a column that is left.
    pub(crate) fn narrowed(&self, columns: &[&str]) -> Result<Self> {
        let is_excluded = |name: &str| self.exclude.iter().any(|out| out == name || is_under(name, out));
        let mut narrow: Vec<String> = Vec::new();
        for &name in columns {
            let before = narrow.len();
            if let Some(open) = &self.columns {
                if open.iter().any(|open| open == name || is_under(name, open)) {
                    narrow.push(name.to_owned());
                }
                narrow.extend(open.iter().filter(|open| is_under(open, name)).cloned());
            } else {
                narrow.push(name.to_owned());
            }
            if narrow.len() == before || is_excluded(name) {
                let open: Vec<&str> = self.columns.iter().flatten().map(String::as_str).collect();
                return Err(unknown_column(name, &open));
            }
        }
        Ok(Self { columns: Some(narrow), exclude: self.exclude.clone() })
    }

    /// As it is for paths of which those that are excluded are gone already.
    pub(crate) fn without_excluded(&self) -> Self {
        Self { columns: self.columns.clone(), exclude: Vec::new() }
    }

    /// Whether everything is asked for.
    pub(crate) fn is_all(&self) -> bool {
        self.columns.is_none() && self.exclude.is_empty()
    }

    /// Whether `path` is certainly not asked for, whatever other paths there are.
    pub(crate) fn leaves_out(&self, path: &str) -> bool {
        let names = |names: &[String]| names.iter().any(|name| name == path || is_under(path, name));
        self.columns.as_ref().is_some_and(|columns| !names(columns)) || self.exclude.iter().any(|n| n == path)
    }
}

/// Whether `path` is a part of the structure at `prefix`.
pub(crate) fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

/// The error of a column that does not exist, with what was probably meant.
pub(crate) fn unknown_column(name: &str, paths: &[&str]) -> Error {
    let error = Error::config(format!("no column `{name}`"));
    match nearest(name, paths.iter().copied()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => {
            let quoted = paths.iter().take(20).map(|path| quote_name(path, &[',']));
            let mut listed = quoted.collect::<Vec<_>>().join(", ");
            if paths.len() > 20 {
                listed.push_str(", …");
            }
            error.with_hint(format!("there are: {listed}"))
        }
    }
}

/// Features of `tf.train.Example` and the columns they become.
#[derive(Debug)]
pub(crate) struct FeaturePlan {
    /// The paths of the columns.
    paths: Vec<String>,
    /// The features, in the order of their columns.
    pub(crate) features: Vec<FeatureSpec>,
    /// The fields, one a feature.
    pub(crate) fields: Vec<FieldRef>,
    /// The schema that the fields make.
    pub(crate) schema: SchemaRef,
    /// The spec of the elements.
    pub(crate) element_spec: ElementSpec,
    /// Whether features that are not planned are left out silently, because they were not asked
    /// for; otherwise they contradict the plan.
    pub(crate) ignore_others: bool,
    /// Whether records are `SequenceExample`, and may have feature lists.
    pub(crate) sequence: bool,
    /// Whether null takes the place of a value that is not what its feature's spec says.
    pub(crate) null_values: bool,
}

impl FeaturePlan {
    /// Plans the columns of features, each with the path of its column.
    ///
    /// # Errors
    /// A feature cannot be stored, or two have the same name.
    pub(crate) fn new(
        features: Vec<(String, FeatureSpec)>,
        options: &MappingOptions,
        ignore_others: bool,
        source: &str,
    ) -> Result<Self> {
        let mut fields: Vec<FieldRef> = Vec::with_capacity(features.len());
        let mut names = HashSet::new();
        for (path, feature) in &features {
            let name = options.column_name(path);
            if !names.insert(name.to_owned()) {
                return Err(Error::config(format!("two columns would be named `{name}`"))
                    .with_hint(Phrase::new("give one of them another name with {rename}")));
            }
            fields.push(Arc::new(feature_field(name, path, feature, options)?));
        }
        let (paths, features) = features.into_iter().unzip();
        Ok(Self::of(paths, features, fields, ignore_others, source))
    }

    /// The plan of features with their paths and fields.
    fn of(
        paths: Vec<String>,
        features: Vec<FeatureSpec>,
        fields: Vec<FieldRef>,
        ignore_others: bool,
        source: &str,
    ) -> Self {
        let components = paths.iter().zip(&features).map(|(path, spec)| (path.clone(), spec.element_spec()));
        let element_spec = ElementSpec::dict(components.collect());
        let schema = schema_of(&fields, &element_spec, source);
        let (sequence, null_values) = (false, false);
        Self { paths, features, fields, schema, element_spec, ignore_others, sequence, null_values }
    }

    /// The plan of those columns alone that `projection` asks for, in its order.
    ///
    /// # Errors
    /// A name is that of no column.
    pub(crate) fn project(&self, projection: &Projection) -> Result<Self> {
        let paths: Vec<&str> = self.paths.iter().map(String::as_str).collect();
        let wanted = projection.without_excluded().apply(&paths)?;
        let source = self.schema.metadata().get(SOURCE).map_or("", String::as_str);
        let plan = Self::of(
            wanted.iter().filter_map(|at| self.paths.get(*at).cloned()).collect(),
            wanted.iter().filter_map(|at| self.features.get(*at).cloned()).collect(),
            wanted.iter().filter_map(|at| self.fields.get(*at).cloned()).collect(),
            true,
            source,
        );
        Ok(Self { sequence: self.sequence, null_values: self.null_values, ..plan })
    }
}

fn feature_field(name: &str, path: &str, feature: &FeatureSpec, options: &MappingOptions) -> Result<Field> {
    let mut options = MappingOptions { utf8: BTreeSet::new(), ..options.clone() };
    if feature.text {
        options.utf8.insert(path.to_owned());
    }
    if feature.feature_list {
        // A list of steps is a list, whatever the steps are: no tensor of its own.
        options.tensor_layout = TensorLayout::Nested;
    }
    let field = mapping::field(name, path, &feature.element_spec(), &options)?
        .ok_or_else(|| Error::unsupported("feature that makes no column").in_column(path))?;
    if feature.feature_list && feature.shape == Shape::UnknownRank {
        let steps = DataType::List(item(field.data_type().clone()));
        return Ok(field.with_data_type(steps));
    }
    Ok(field)
}

impl FeaturePlan {
    /// The plan of records kept as they are: one column, `record`, of bytes.
    ///
    /// # Errors
    /// None that can be expected.
    pub(crate) fn raw(options: &MappingOptions, source: &str) -> Result<Self> {
        let spec = FeatureSpec::values("record", DType::String, Shape::scalar());
        let mut plan = Self::new(vec![(spec.name.clone(), spec)], options, true, source)?;
        plan.features.clear();
        Ok(plan)
    }
}

/// A schema of `fields` with this crate's metadata.
pub(crate) fn schema_of(fields: &[FieldRef], element_spec: &ElementSpec, source: &str) -> SchemaRef {
    let metadata: HashMap<String, String> = [
        (ELEMENT_SPEC.to_owned(), element_spec.to_json().to_string()),
        (VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        (SOURCE.to_owned(), source.to_owned()),
    ]
    .into();
    let fields: Vec<Arc<Field>> = fields.to_vec();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projection_keeps_the_order_that_was_asked_for() {
        let paths = ["a", "b", "label"];
        let of = |columns: Option<&[&str]>, exclude: &[&str]| {
            Projection {
                columns: columns.map(|c| c.iter().map(|s| (*s).to_owned()).collect()),
                exclude: exclude.iter().map(|s| (*s).to_owned()).collect(),
            }
            .apply(&paths)
        };
        assert_eq!(of(Some(&["label", "a", "a"]), &[]).unwrap(), [2, 0]);
        assert_eq!(of(None, &["b"]).unwrap(), [0, 2]);
        assert!(of(Some(&["lable"]), &[]).unwrap_err().to_string().contains("did you mean `label`?"));
        assert!(of(None, &["a", "b", "label"]).is_err());
    }

    #[test]
    fn a_prefix_stands_for_everything_under_it() {
        let paths = ["outer/a", "outer/b", "outside", "x", "x/y"];
        let of = |columns: &[&str], exclude: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            Projection { columns: Some(owned(columns)), exclude: owned(exclude) }.apply(&paths)
        };
        assert_eq!(of(&["outer"], &[]).unwrap(), [0, 1]);
        assert_eq!(of(&["x", "outer"], &["outer/a"]).unwrap(), [3, 1]);
        assert!(of(&["out"], &[]).is_err());
    }
}
