//! The columns of `ExampleListWithContext`: those of the context's features, and `examples`, a list of
//! structs.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};

use super::feature::FeatureSpec;
use super::mapping::{MappingOptions, TF_KIND, with_metadata};
use super::{FeaturePlan, Projection, is_under, schema_of};
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::tensor::extension::item;
use crate::tf::spec::ElementSpec;

/// The message that the records are.
pub(crate) const ELWC: &str = "tensorflow.serving.ExampleListWithContext";
/// The column of the examples, and what the paths of their features begin with.
pub(crate) const EXAMPLES: &str = "examples";

/// What a column is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElwcColumn {
    /// A feature of the context, by its place in its plan.
    Context(usize),
    Examples,
}

/// The columns of both kinds of features.
#[derive(Debug)]
pub(crate) struct ElwcPlan {
    pub(crate) context: Arc<FeaturePlan>,
    pub(crate) examples: Arc<FeaturePlan>,
    pub(crate) wants_examples: bool,
    pub(crate) schema: SchemaRef,
    pub(crate) element_spec: ElementSpec,
    pub(crate) columns: Vec<ElwcColumn>,
}

/// Options by column, as far as they are for one of the two kinds of features.
#[derive(Debug, Clone, Default)]
pub(crate) struct Share {
    pub(crate) features: Vec<FeatureSpec>,
    pub(crate) projection: Projection,
    pub(crate) mapping: MappingOptions,
    /// Whether any column of it is asked for.
    pub(crate) wanted: bool,
}

/// What of `path` is behind `examples/`.
fn of_examples(path: &str) -> Option<&str> {
    path.strip_prefix(EXAMPLES).and_then(|rest| rest.strip_prefix('/'))
}

/// Deals options out to the context's features and to the examples': what is said of `examples/NAME` is
/// said of the feature `NAME` of the examples.
pub(crate) fn share(
    features: &[FeatureSpec],
    projection: &Projection,
    mapping: &MappingOptions,
) -> (Share, Share) {
    let (mut context, mut examples) = (Share::default(), Share::default());
    for feature in features {
        match of_examples(&feature.name) {
            Some(name) => {
                examples.features.push(FeatureSpec { name: name.to_owned(), ..feature.clone() });
            }
            None => context.features.push(feature.clone()),
        }
    }
    let is_whole = |name: &String| name == EXAMPLES;
    let split = |names: &[String]| -> (Vec<String>, Vec<String>) {
        let own = names.iter().filter(|name| !is_whole(name) && of_examples(name).is_none());
        let theirs = names.iter().filter_map(|name| of_examples(name)).map(str::to_owned);
        (own.cloned().collect(), theirs.collect())
    };
    (context.wanted, examples.wanted) = (true, true);
    if let Some(columns) = &projection.columns {
        let (own, theirs) = split(columns);
        let whole = columns.iter().any(is_whole);
        context.wanted = !own.is_empty();
        examples.wanted = whole || !theirs.is_empty();
        context.projection.columns = Some(own);
        examples.projection.columns = (!whole).then_some(theirs);
    }
    (context.projection.exclude, examples.projection.exclude) = split(&projection.exclude);
    examples.wanted &= !projection.exclude.iter().any(is_whole);
    let (own, theirs): (Vec<_>, Vec<_>) = mapping.utf8.iter().partition(|name| of_examples(name).is_none());
    let utf8 = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<_>>();
    let stripped = theirs.into_iter().filter_map(|name| of_examples(name)).map(str::to_owned).collect();
    context.mapping = MappingOptions { utf8: utf8(own), ..mapping.clone() };
    context.mapping.rename.retain(|(old, _)| old != EXAMPLES && !is_under(old, EXAMPLES));
    examples.mapping = MappingOptions { utf8: stripped, ..mapping.clone() };
    let renamed = |(old, new): &(String, String)| Some((of_examples(old)?.to_owned(), new.clone()));
    examples.mapping.rename = mapping.rename.iter().filter_map(renamed).collect();
    (context, examples)
}

impl ElwcPlan {
    /// Puts the columns of both plans together.
    ///
    /// # Errors
    /// Two columns would have the same name, or none is left.
    pub(crate) fn new(
        context: FeaturePlan,
        examples: FeaturePlan,
        wants_examples: bool,
        projection: &Projection,
        mapping: &MappingOptions,
        source: &str,
    ) -> Result<Self> {
        let mut columns: Vec<(usize, ElwcColumn, FieldRef)> = Vec::new();
        let rank = |path: &str| {
            let columns = projection.columns.as_deref().unwrap_or_default();
            columns.iter().position(|name| name == path || is_under(path, name) || is_under(name, path))
        };
        let mut specs = context.element_spec.children().into_iter().map(|(name, spec)| (name, spec.clone()));
        let mut all: Vec<(String, ElementSpec)> = specs.by_ref().collect();
        for (at, (feature, field)) in context.features.iter().zip(&context.fields).enumerate() {
            columns.push((rank(&feature.name).unwrap_or(0), ElwcColumn::Context(at), field.clone()));
        }
        if wants_examples && !examples.fields.is_empty() {
            let structs = DataType::Struct(examples.fields.clone().into());
            let name = mapping.column_name(EXAMPLES);
            let field = Field::new(name, DataType::List(item(structs)), true);
            let field = Arc::new(with_metadata(field, TF_KIND, "dataset"));
            columns.push((rank(EXAMPLES).unwrap_or(0), ElwcColumn::Examples, field));
            all.push((EXAMPLES.to_owned(), ElementSpec::Dataset(Box::new(examples.element_spec.clone()))));
        }
        columns.sort_by_key(|(rank, ..)| *rank);
        let fields: Vec<FieldRef> = columns.iter().map(|(_, _, field)| field.clone()).collect();
        if fields.is_empty() {
            return Err(Error::config("no column is left to read")
                .with_hint(Phrase::new("ask for fewer with {exclude} or for more with {columns}")));
        }
        for (at, field) in fields.iter().enumerate() {
            if fields.iter().skip(at + 1).any(|other| other.name() == field.name()) {
                return Err(Error::config(format!("two columns would be named `{}`", field.name()))
                    .with_hint(Phrase::new("give one of them another name with {rename}")));
            }
        }
        let element_spec = ElementSpec::dict(all);
        let schema = schema_of(&fields, &element_spec, source);
        let columns = columns.into_iter().map(|(_, column, _)| column).collect();
        Ok(Self {
            context: Arc::new(context),
            examples: Arc::new(examples),
            wants_examples,
            schema,
            element_spec,
            columns,
        })
    }
}
