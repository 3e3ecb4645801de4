//! The plan of whole elements: one column a component, or one a top-level part.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};

use super::mapping::{self, MappingOptions};
use super::{Projection, schema_of, unknown_column};
use crate::error::{Error, Result};
use crate::options::{Phrase, Structure};
use crate::tf::spec::ElementSpec;

/// A column and the components that it is made of.
#[derive(Debug)]
pub(crate) struct ElementColumn {
    /// Where it stands in the element.
    pub(crate) path: String,
    /// Its component, or the structure of its components.
    pub(crate) spec: ElementSpec,
    /// Its field.
    pub(crate) field: FieldRef,
    /// The components that it takes: their number in flatten order, and their spec.
    pub(crate) components: Vec<(usize, ElementSpec)>,
}

/// The columns that elements become.
#[derive(Debug)]
pub(crate) struct ElementPlan {
    /// The columns, in their order.
    pub(crate) columns: Vec<ElementColumn>,
    /// The schema that they make.
    pub(crate) schema: SchemaRef,
    /// The spec of an element, as far as it is read.
    pub(crate) element_spec: ElementSpec,
    /// The options that the fields were made with.
    pub(crate) options: MappingOptions,
}

impl ElementPlan {
    /// Plans the columns of elements of `spec` that `projection` asks for. `names` are given to
    /// the top-level positions of a tuple or list, or to the single column; empty for none.
    /// `source` is the kind of source, for the schema's metadata.
    ///
    /// # Errors
    /// A wanted component cannot be stored, an option names a column that does not exist, or two
    /// columns would have the same name.
    pub(crate) fn new(
        spec: &ElementSpec,
        options: &MappingOptions,
        projection: &Projection,
        names: &[String],
        source: &str,
    ) -> Result<Self> {
        let spec = &named(spec, names)?;
        let mut candidates: Vec<(String, &ElementSpec)> = Vec::new();
        match options.structure {
            Structure::Flat => candidates = spec.components(),
            Structure::Nested if spec.is_leaf() => candidates.push(("value".to_owned(), spec)),
            Structure::Nested => candidates = spec.children(),
        }
        if let (true, [name]) = (spec.is_leaf(), names)
            && let Some((path, _)) = candidates.first_mut()
        {
            path.clone_from(name);
        }
        let mut number = 0;
        let numbered = candidates.into_iter().map(|(path, spec)| {
            let mut components = Vec::new();
            leaves(spec, &mut number, &mut components);
            (path, spec, components)
        });
        let numbered: Vec<_> = numbered.filter(|(_, _, components)| !components.is_empty()).collect();
        let paths: Vec<&str> = numbered.iter().map(|(path, ..)| path.as_str()).collect();
        let renamed = options.rename.iter().map(|(old, _)| old);
        if let Some(name) = renamed.into_iter().find(|name| !paths.contains(&name.as_str())) {
            return Err(unknown_column(name, &paths));
        }
        let within = |name: &str, path: &str| {
            name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(name) = options.text_columns().find(|name| !paths.iter().any(|path| within(name, path))) {
            return Err(unknown_column(name, &paths));
        }
        let mut columns = Vec::new();
        let mut taken = HashSet::new();
        let mut read = HashSet::new();
        for wanted in projection.apply(&paths)? {
            let Some((path, spec, components)) = numbered.get(wanted) else { continue };
            let name = options.column_name(path);
            let Some(field) = mapping::field(name, path, spec, options)? else { continue };
            if !taken.insert(name.to_owned()) {
                return Err(Error::config(format!("two columns would be named `{name}`")).with_hint(
                    Phrase::new("give one of them another name with {rename}, or pass {structure=nested}"),
                ));
            }
            read.extend(components.iter().map(|(number, _)| *number));
            columns.push(ElementColumn {
                path: path.clone(),
                spec: (*spec).clone(),
                field: Arc::new(field),
                components: components.clone(),
            });
        }
        let element_spec = pruned(spec, &mut 0, &read);
        let fields: Vec<FieldRef> = columns.iter().map(|column| column.field.clone()).collect();
        let schema = schema_of(&fields, &element_spec, source);
        Ok(Self { columns, schema, element_spec, options: options.clone() })
    }
}

/// A tuple with names for its positions.
fn named(spec: &ElementSpec, names: &[String]) -> Result<ElementSpec> {
    if names.is_empty() {
        return Ok(spec.clone());
    }
    let positions = match spec {
        ElementSpec::Tuple(items) | ElementSpec::List(items) => items.as_slice(),
        leaf if leaf.is_leaf() => std::slice::from_ref(leaf),
        _ => {
            return Err(Error::config("only a tuple's positions can be named")
                .expected("a tuple", "a dict or named tuple")
                .with_hint(Phrase::new("use {rename}")));
        }
    };
    if positions.len() != names.len() {
        return Err(Error::config("wrong number of names")
            .expected(positions.len().to_string(), names.len().to_string()));
    }
    if spec.is_leaf() {
        return Ok(spec.clone());
    }
    let fields = names.iter().cloned().zip(positions.iter().cloned()).collect();
    Ok(ElementSpec::NamedTuple { name: "Element".to_owned(), fields })
}

/// The components of `spec`, numbered on from `number`.
fn leaves(spec: &ElementSpec, number: &mut usize, out: &mut Vec<(usize, ElementSpec)>) {
    match spec {
        ElementSpec::None => {}
        leaf if leaf.is_leaf() => {
            out.push((*number, leaf.clone()));
            *number += 1;
        }
        _ => spec.children().into_iter().for_each(|(_, child)| leaves(child, number, out)),
    }
}

/// `spec` with only the components in `read`, by their number in flatten order, counted on from
/// `number`.
pub(crate) fn pruned(spec: &ElementSpec, number: &mut usize, read: &HashSet<usize>) -> ElementSpec {
    let mut fields_of = |fields: &[(String, ElementSpec)]| {
        let fields = fields.iter().map(|(name, spec)| (name.clone(), spec, pruned(spec, number, read)));
        let kept =
            fields.filter(|(_, before, after)| **before == ElementSpec::None || *after != ElementSpec::None);
        kept.map(|(name, _, spec)| (name, spec)).collect::<Vec<_>>()
    };
    match spec {
        ElementSpec::None => ElementSpec::None,
        ElementSpec::Dict(fields) => match fields_of(fields) {
            fields if fields.is_empty() => ElementSpec::None,
            fields => ElementSpec::Dict(fields),
        },
        ElementSpec::NamedTuple { name, fields } => match fields_of(fields) {
            fields if fields.is_empty() => ElementSpec::None,
            fields => ElementSpec::NamedTuple { name: name.clone(), fields },
        },
        // Positions are kept, so that the paths stay what they are.
        ElementSpec::Tuple(items) => {
            ElementSpec::Tuple(items.iter().map(|item| pruned(item, number, read)).collect())
        }
        ElementSpec::List(items) => {
            ElementSpec::List(items.iter().map(|item| pruned(item, number, read)).collect())
        }
        leaf => {
            let keep = read.contains(number);
            *number += 1;
            if keep { leaf.clone() } else { ElementSpec::None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tf::dtype::DType;
    use crate::tf::shape::Shape;

    fn scalar() -> ElementSpec {
        ElementSpec::tensor(DType::Int64, Shape::scalar())
    }

    fn pair() -> ElementSpec {
        let dict = ElementSpec::dict(vec![("a".into(), scalar()), ("b".into(), scalar())]);
        ElementSpec::Tuple(vec![dict, ElementSpec::None, scalar()])
    }

    fn columns(
        options: &MappingOptions,
        projection: &Projection,
        names: &[String],
    ) -> Vec<(String, Vec<usize>)> {
        let plan = ElementPlan::new(&pair(), options, projection, names, "test").unwrap();
        plan.columns
            .iter()
            .map(|c| (c.field.name().clone(), c.components.iter().map(|(number, _)| *number).collect()))
            .collect()
    }

    #[test]
    fn columns_know_their_components() {
        let (flat, all) = (MappingOptions::default(), Projection::default());
        let of = |name: &str, numbers: &[usize]| (name.to_owned(), numbers.to_vec());
        assert_eq!(columns(&flat, &all, &[]), [of("0/a", &[0]), of("0/b", &[1]), of("2", &[2])]);
        let names = ["x".to_owned(), "n".to_owned(), "y".to_owned()];
        assert_eq!(columns(&flat, &all, &names), [of("x/a", &[0]), of("x/b", &[1]), of("y", &[2])]);
        let nested = MappingOptions { structure: Structure::Nested, ..MappingOptions::default() };
        assert_eq!(columns(&nested, &all, &names), [of("x", &[0, 1]), of("y", &[2])]);
        let some = Projection { columns: Some(vec!["2".into(), "0/b".into()]), exclude: Vec::new() };
        assert_eq!(columns(&flat, &some, &[]), [of("2", &[2]), of("0/b", &[1])]);
    }

    #[test]
    fn the_spec_is_of_what_is_read() {
        let exclude = Projection { columns: None, exclude: vec!["0/a".into()] };
        let plan = ElementPlan::new(&pair(), &MappingOptions::default(), &exclude, &[], "test").unwrap();
        let dict = ElementSpec::dict(vec![("b".into(), scalar())]);
        assert_eq!(plan.element_spec, ElementSpec::Tuple(vec![dict, ElementSpec::None, scalar()]));
        let slash = ElementSpec::dict(vec![
            ("a".into(), ElementSpec::dict(vec![("b".into(), scalar())])),
            ("a/b".into(), scalar()),
        ]);
        let all = Projection::default();
        assert!(ElementPlan::new(&slash, &MappingOptions::default(), &all, &[], "test").is_err());
    }
}
